import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { TokenStore } from '../token-store';
import { LoginRefusedError, ProviderUnavailableError } from './oidc-client';
import { MAX_LOGINS_UNDER_WAY, OidcLogins } from './oidc-logins';

const RULES = [{ group: 'ops', tenant: 'default', role: 'admin', scopes: [] }] as const;
const CHALLENGE = { state: 's', nonce: 'n', verifier: 'v' };

describeOnBothDialects('log-ins', (stores: () => TestStores) => {
  it('make one session of an attempt, even if a provider took its code twice', async () => {
    const store = await stores().open();
    const tokens = new TokenStore(store);
    const client = {
      begin: () => Promise.resolve({ url: 'https://login.example/', challenge: CHALLENGE }),
      finish: () => Promise.resolve({ subject: 'https://login.example alice', groups: ['ops'] }),
    };
    const logins = new OidcLogins({ store, tokens, client }, RULES, { sessionMs: 60_000 });
    const { attempt } = await logins.begin();
    const ends = await Promise.allSettled(Array.from({ length: 5 }, () => logins.finish('', attempt)));
    const made = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
    expect(made).toHaveLength(1);
    for (const end of ends) if (end.status === 'rejected') expect(end.reason).toBeInstanceOf(LoginRefusedError);
    expect(await tokens.verify(made[0]?.token ?? '')).toMatchObject({ role: 'admin', isSession: true });
    const late = new TokenStore(store, { nowMs: () => Date.now() + 60_001 });
    expect(await late.verify(made[0]?.token ?? '')).toBeUndefined();
  });

  it('ask the provider about a bounded number of them at once', async () => {
    const store = await stores().open();
    const waiting: ((error: Error) => void)[] = [];
    const client = {
      begin: () => Promise.resolve({ url: 'https://login.example/', challenge: CHALLENGE }),
      finish: () => new Promise<never>((_, reject) => waiting.push(reject)),
    };
    const logins = new OidcLogins({ store, tokens: new TokenStore(store), client }, RULES, { sessionMs: 60_000 });
    const { attempt } = await logins.begin();
    const asked = Array.from({ length: MAX_LOGINS_UNDER_WAY }, () => logins.finish('', attempt));
    const refused = Promise.all(asked.map((login) => expect(login).rejects.toThrow('oidc_denied')));
    await expect(logins.finish('', attempt)).rejects.toBeInstanceOf(ProviderUnavailableError);
    for (const reject of waiting) reject(new LoginRefusedError('oidc_denied'));
    await refused;
    const next = logins.finish('', attempt);
    waiting.at(-1)?.(new LoginRefusedError('oidc_code'));
    await expect(next).rejects.toThrow('oidc_code');
  });
});
