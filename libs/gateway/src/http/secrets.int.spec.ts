import { randomUUID } from 'node:crypto';
import { portable } from '@tyrum/statestore';
import { startTestEdge, type TestEdge } from '../testing';

const VALUE = 'canary-4d1e-value';
const everything = portable('known-requests', 'select * from idempotency_record');

describe.each(['sqlite', 'postgres'] as const)('secrets on %s', (database) => {
  let edge: TestEdge;
  let token: string;
  const said: string[] = [];
  beforeAll(async () => {
    edge = await startTestEdge({ database, env: { TYRUM_SECRET_KEYS: 'A'.repeat(43) } });
    token = await edge.issue();
  });
  afterAll(() => edge.stop());

  const call = async (
    method: string,
    path: string,
    body?: object,
    { key = randomUUID() as string, by = token } = {},
  ) => {
    const answer = await fetch(`${edge.httpUrl}/v1/secrets${path}`, {
      method,
      headers: { authorization: `Bearer ${by}`, 'content-type': 'application/json', 'idempotency-key': key },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    said.push(text);
    return { status: answer.status, headers: answer.headers, body: (text ? JSON.parse(text) : {}) as object };
  };

  it('are made, shown, rotated and deleted without ever showing a value', async () => {
    const made = await call('POST', '', { key: 'github', value: VALUE, description: 'reads', hosts: ['api.example'] });
    expect(made).toMatchObject({
      status: 201,
      body: {
        secret: { key: 'github', handle: 'secret:github', version: 1, description: 'reads', hosts: ['api.example'] },
      },
    });
    expect((await call('GET', '/github')).body).toEqual(made.body);
    expect((await call('GET', '')).body).toMatchObject({ secrets: [{ key: 'github' }] });
    const rotated = await call('POST', '/github/rotate', { value: `${VALUE}-2` });
    expect(rotated).toMatchObject({ status: 200, body: { secret: { version: 2 } } });
    expect((await call('DELETE', '/github')).status).toBe(204);
    for (const gone of [
      call('GET', '/github'),
      call('DELETE', '/github'),
      call('POST', '/github/rotate', { value: VALUE }),
    ])
      expect(await gone).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  it('replay a copy, refuse another value under its key, and another secret of that name', async () => {
    const key = randomUUID();
    const first = await call('POST', '', { key: 'once', value: VALUE }, { key });
    const copy = await call('POST', '', { value: VALUE, key: 'once' }, { key });
    expect([copy.status, copy.body, copy.headers.get('idempotency-replayed')]).toEqual([201, first.body, 'true']);
    expect((await call('POST', '', { key: 'once', value: `${VALUE}!` }, { key })).status).toBe(422);
    expect(await call('POST', '', { key: 'once', value: VALUE })).toMatchObject({ status: 409 });
  });

  it.each([
    [{ key: 'a b', value: VALUE }, 'body.key'],
    [{ key: 'short', value: 'canary!' }, 'body.value'],
    [{ key: 'nul', value: `${VALUE}\0` }, 'body.value'],
    [{ key: 'long', value: VALUE.padEnd(32 * 1024 + 1, 'x') }, 'body.value'],
    [{ key: 'number', value: 12345678 }, 'body.value'],
    [{ key: 'hosts', value: VALUE, hosts: ['Api.example:443'] }, 'body.hosts'],
    [{ key: 'hosts', value: VALUE, hosts: [] }, 'body.hosts'],
    [{ key: 'more', value: VALUE, more: VALUE }, 'body.more'],
  ])('refuse %j and name the field', async (body, field) => {
    expect(await call('POST', '', body)).toMatchObject({
      status: 400,
      body: { code: 'contract_error', errors: [{ field }] },
    });
  });

  it('are for admins alone', async () => {
    const by = await edge.issue({ role: 'client', scopes: ['operator.read', 'operator.write'] });
    for (const asked of [call('GET', '', undefined, { by }), call('POST', '', { key: 'x', value: VALUE }, { by })])
      expect((await asked).status).toBe(403);
  });

  it('have said and kept nothing of a value', async () => {
    const requests = JSON.stringify(await edge.store.execute(everything));
    for (const text of [...said, requests, JSON.stringify(edge.logs ?? [])]) expect(text).not.toContain('canary');
  });
});

it('are not set up on Postgres without keys, and say so', async () => {
  const edge = await startTestEdge({ database: 'postgres' });
  const answer = await fetch(`${edge.httpUrl}/v1/secrets`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await edge.issue()}`, 'content-type': 'application/json' },
    body: JSON.stringify({ key: 'a', value: VALUE }),
  });
  expect([answer.status, await answer.json()]).toEqual([
    404,
    expect.objectContaining({ detail: expect.stringContaining('TYRUM_SECRET_KEYS is unset') }),
  ]);
  await edge.stop();
});
