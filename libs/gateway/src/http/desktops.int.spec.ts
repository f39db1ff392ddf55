import { randomUUID } from 'node:crypto';
import { startTestEdge, type TestEdge } from '../testing';

describe.each(['sqlite', 'postgres'] as const)('desktops over HTTP on %s', (database) => {
  let edge: TestEdge;
  let token: string;
  beforeAll(async () => {
    edge = await startTestEdge({ database });
    token = await edge.issue();
  });
  afterAll(() => edge.stop());

  const call = async (
    method: string,
    path: string,
    body?: object,
    { key = randomUUID() as string, by = token } = {},
  ) => {
    const answer = await fetch(`${edge.httpUrl}/v1/desktop-environments${path}`, {
      method,
      headers: { authorization: `Bearer ${by}`, 'content-type': 'application/json', 'idempotency-key': key },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: text ? (JSON.parse(text) as object) : {} };
  };
  const create = async (): Promise<string> =>
    ((await call('POST', '', {})).body as { environment: { environment_id: string } }).environment.environment_id;

  it('are created, shown, started, stopped, moved and deleted', async () => {
    const made = await call('POST', '', { label: 'one', width: 800, height: 600, desired: 'stopped' });
    const { environment } = made.body as { environment: { environment_id: string } };
    expect(made).toMatchObject({ status: 201, body: { environment: { label: 'one', status: 'stopped', width: 800 } } });
    const path = `/${environment.environment_id}`;
    expect((await call('GET', path)).body).toEqual(made.body);
    expect((await call('GET', '')).body).toEqual({ environments: [environment] });
    expect(await call('POST', `${path}/start`)).toMatchObject({
      status: 202,
      body: { environment: { status: 'pending' } },
    });
    expect(await call('POST', `${path}/move`)).toMatchObject({ status: 202, body: { environment: { host_id: null } } });
    expect(await call('POST', `${path}/stop`)).toMatchObject({
      status: 202,
      body: { environment: { status: 'stopped' } },
    });
    expect((await call('DELETE', path)).status).toBe(204);
    for (const [method, gone] of [
      ['GET', path],
      ['DELETE', path],
      ['POST', `${path}/start`],
      ['POST', `${path}/stop`],
      ['POST', `${path}/move`],
    ] as const)
      expect(await call(method, gone)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  it('are created once by copies of a request, and moved to hosts that exist', async () => {
    const key = randomUUID();
    const [first, copy] = [
      await call('POST', '', { label: 'x' }, { key }),
      await call('POST', '', { label: 'x' }, { key }),
    ];
    expect([copy.status, copy.body, copy.headers.get('idempotency-replayed')]).toEqual([201, first.body, 'true']);
    expect((await call('POST', '', { label: 'y' }, { key })).status).toBe(422);
    expect(await call('POST', `/${await create()}/move`, { host_id: randomUUID() })).toMatchObject({ status: 404 });
  });

  it.each([
    [{ width: 319 }, 'body.width'],
    [{ height: 4_097 }, 'body.height'],
    [{ desired: 'absent' }, 'body.desired'],
    [{ host_id: 'x' }, 'body.host_id'],
    [{ label: '' }, 'body.label'],
    [{ more: 1 }, 'body.more'],
  ])('refuse %j and name the field', async (body, field) => {
    expect(await call('POST', '', body)).toMatchObject({
      status: 400,
      body: { code: 'contract_error', errors: [expect.objectContaining({ field })] },
    });
  });

  it('take each scope for what it is for', async () => {
    const id = await create();
    const as = (scopes: ('operator.read' | 'operator.write')[]) => edge.issue({ role: 'client', scopes });
    const [reader, writer] = [await as(['operator.read']), await as(['operator.read', 'operator.write'])];
    expect((await call('GET', `/${id}`, undefined, { by: reader })).status).toBe(200);
    expect((await call('POST', `/${id}/stop`, undefined, { by: reader })).status).toBe(403);
    expect((await call('POST', `/${id}/stop`, undefined, { by: writer })).status).toBe(202);
    for (const [method, path] of [
      ['POST', ''],
      ['POST', `/${id}/move`],
      ['DELETE', `/${id}`],
    ] as const)
      expect((await call(method, path, method === 'POST' ? {} : undefined, { by: writer })).status).toBe(403);
  });
});
