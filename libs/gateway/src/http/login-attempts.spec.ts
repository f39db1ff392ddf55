import { ATTEMPT_MS, LoginAttempts, returnPlace } from './login-attempts';

const kept = { attempt: { id: 'i', state: 's', nonce: 'n', verifier: 'v' }, returnTo: 'https://t.example/' };

describe('a log-in attempt', () => {
  it('is found again at every edge for as long as it may take, and unreadable on the way', () => {
    let now = 1_000;
    const [here, there] = [0, 1].map(() => new LoginAttempts('a-secret-of-the-client', () => now));
    const text = here!.keep(kept);
    expect(text).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(Buffer.from(text, 'base64url').toString('latin1')).not.toContain('t.example');
    expect(there!.find(text)).toMatchObject(kept);
    now += ATTEMPT_MS;
    expect(there!.find(text)).toBeUndefined();
  });

  it('is not made up, changed, or taken from another installation', () => {
    const own = new LoginAttempts('a-secret-of-the-client', () => 0);
    const text = own.keep(kept);
    const changed = `${text.slice(0, 40)}${text[40] === 'A' ? 'B' : 'A'}${text.slice(41)}`;
    const foreign = new LoginAttempts('another-secret-of-it', () => 0).keep(kept);
    for (const bad of [undefined, '', 'x', changed, text.slice(0, -4), foreign]) expect(own.find(bad)).toBeUndefined();
  });
});

const ORIGINS = ['https://edge.example', 'https://console.example:8443'];

it.each([
  ['/', 'https://edge.example/'],
  ['/a?b=c#d', 'https://edge.example/a?b=c#d'],
  ['a/../b', 'https://edge.example/b'],
  ['https://console.example:8443/x', 'https://console.example:8443/x'],
  ['https://edge.example', 'https://edge.example/'],
  // Of the same scheme, a URL without slashes is a path.
  ['https:evil.example', 'https://edge.example/evil.example'],
])('goes back to %s', (wish, place) => expect(returnPlace(wish, ORIGINS)).toBe(place));

it.each([
  'https://evil.example/',
  '//evil.example/',
  '///evil.example',
  '/\\evil.example',
  '\\\\evil.example',
  'https://edge.example@evil.example/',
  'https://edge.example.evil.example/',
  'https://user:pw@edge.example/',
  'http://edge.example/',
  'https://console.example/',
  'javascript:alert(1)',
  'data:text/html,x',
  '/\t/evil.example',
  ' //evil.example',
  'https://[',
])('does not go to %j', (wish) => expect(returnPlace(wish, ORIGINS)).toBeUndefined());
