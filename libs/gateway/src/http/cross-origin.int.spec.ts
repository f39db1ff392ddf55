import { startTestEdge, type TestEdge } from '../testing';

const ORIGIN = 'https://console.example';
const OTHERS = ['https://evil.example', `${ORIGIN}.evil.example`, 'http://console.example', 'null'];

let edge: TestEdge;
beforeAll(async () => {
  edge = await startTestEdge({ allowedOrigins: [ORIGIN] });
});
afterAll(() => edge.stop());

describe.each(['/v1/conversations', '/mcp'])('the browser of a page that wants to call %s', (path) => {
  const ask = (origin: string) =>
    fetch(`${edge.httpUrl}${path}`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,idempotency-key',
      },
    });

  it('is told what the page may do, before there is a token', async () => {
    const answer = await ask(ORIGIN);
    expect(answer.status).toBe(204);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': expect.stringContaining('POST') as string,
      'access-control-allow-headers': expect.stringMatching(/Authorization.*Content-Type.*Idempotency-Key/) as string,
      vary: expect.stringContaining('Origin') as string,
    });
  });

  it.each(OTHERS)('is told nothing when the page is of %s', async (origin) => {
    const answer = await ask(origin);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
  });
});

describe('the answer to a page', () => {
  const read = async (headers: Record<string, string>) => {
    const answer = await fetch(`${edge.httpUrl}/v1/turns`, { headers });
    const { headers: told } = answer;
    return {
      status: answer.status,
      origin: told.get('access-control-allow-origin'),
      exposed: told.get('access-control-expose-headers'),
      vary: told.get('vary'),
    };
  };

  it('is for the page of an allowed origin to read, refusals too, with the headers that matter', async () => {
    const authorization = `Bearer ${await edge.issue()}`;
    const exposed = expect.stringMatching(/ETag.*Retry-After.*X-Request-Id/) as string;
    expect(await read({ origin: ORIGIN, authorization })).toMatchObject({ status: 200, origin: ORIGIN, exposed });
    expect(await read({ origin: ORIGIN })).toMatchObject({ status: 401, origin: ORIGIN, exposed });
  });

  it('is for no other page, and no cache takes one for the other', async () => {
    const authorization = `Bearer ${await edge.issue()}`;
    for (const headers of [...OTHERS.map((origin) => ({ origin, authorization })), { authorization }]) {
      expect(await read(headers)).toEqual({ status: 200, origin: null, exposed: null, vary: 'Origin' });
    }
  });
});
