import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { ProblemDetails } from '@tyrum/protocol';
import { portable } from '@tyrum/statestore';
import { startTestEdge, type TestEdge } from '../testing';

const SIZE = 10_000;
const QUOTA = 5 * SIZE;

interface Created {
  readonly tenant: { readonly tenant_id: string };
  readonly admin: { readonly token: string };
}

describe.each(['sqlite', 'postgres'] as const)('a quota of stored bytes on %s', (database) => {
  let edge: TestEdge;
  let operator: string;
  let tenantId: string;
  let token: string;

  beforeAll(async () => {
    edge = await startTestEdge({ database });
    operator = await edge.issue();
  });
  afterAll(() => edge.stop());
  let tenants = 0;
  beforeEach(async () => {
    tenants += 1;
    const body = JSON.stringify({ slug: `tenant-${tenants}`, max_stored_bytes: QUOTA });
    const made = (await (
      await call('POST', '/v1/tenants', { body, as: operator, type: 'application/json' })
    ).json()) as Created;
    [tenantId, token] = [made.tenant.tenant_id, made.admin.token];
  });

  interface Asked {
    readonly as?: string;
    readonly type?: string;
    readonly key?: string;
    readonly body?: Buffer | string;
  }
  const call = (method: string, path: string, { as = token, type = 'image/png', key, body }: Asked = {}) =>
    fetch(`${edge.httpUrl}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${as}`,
        'content-type': type,
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      ...(body === undefined ? {} : { body }),
    });
  const upload = (bytes: Buffer, key?: string) =>
    call('POST', '/v1/artifacts?filename=x', { body: bytes, ...(key === undefined ? {} : { key }) });
  const usage = async () => {
    const shown = (await (await call('GET', `/v1/tenants/${tenantId}`, { as: operator })).json()) as object;
    return shown as { stored_bytes: number; max_stored_bytes: number | null };
  };
  const files = () =>
    readdirSync(join(edge.home, 'artifacts', tenantId), { recursive: true, withFileTypes: true }).filter((file) =>
      file.isFile(),
    );
  const run = (text: string) => edge.store.execute(portable('test', text));

  it('lets in what fits, however much comes at once, and refuses the rest by its name', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => upload(randomBytes(SIZE))));
    const refused = answers.filter(({ status }) => status === 507);
    expect([answers.filter(({ status }) => status === 201).length, refused.length]).toEqual([5, 7]);
    for (const answer of refused) {
      const problem = (await answer.json()) as ProblemDetails;
      expect(problem).toMatchObject({
        code: 'conflict',
        details: { rule: 'max_stored_bytes', max_stored_bytes: QUOTA },
      });
    }
    expect(await usage()).toMatchObject({ stored_bytes: QUOTA, max_stored_bytes: QUOTA });
    expect(files()).toHaveLength(5);
    const listed = (await (await call('GET', '/v1/tenants', { as: operator })).json()) as { tenants: object[] };
    expect(listed.tenants).toContainEqual(expect.objectContaining({ tenant_id: tenantId, stored_bytes: QUOTA }));
    // What goes makes room, and so does a larger quota.
    await run(`delete from artifact where tenant_id = '${tenantId}' and artifact_id = (
      select artifact_id from artifact where tenant_id = '${tenantId}' limit 1)`);
    expect([(await upload(randomBytes(SIZE))).status, (await upload(randomBytes(1))).status]).toEqual([201, 507]);
    const body = JSON.stringify({ max_stored_bytes: 0 });
    const lifted = await call('PATCH', `/v1/tenants/${tenantId}`, { body, as: operator, type: 'application/json' });
    expect(await lifted.json()).toMatchObject({ max_stored_bytes: null, stored_bytes: QUOTA });
    expect((await upload(randomBytes(SIZE))).status).toBe(201);
  });

  it('answers before a byte of what is announced too large has come', async () => {
    const { hostname, port } = new URL(edge.httpUrl);
    const socket = connect(Number(port), hostname);
    socket.write(
      `POST /v1/artifacts?filename=x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n` +
        `Content-Type: image/png\r\nContent-Length: ${QUOTA + 1}\r\n\r\n`,
    );
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text).toMatch(/^HTTP\/1\.1 507 /);
    expect(text).toContain('"rule":"max_stored_bytes"');
    expect(await usage()).toMatchObject({ stored_bytes: 0 });
  });

  it('answers a copy of an upload that filled it like the first one, and keeps nothing of it', async () => {
    const bytes = randomBytes(QUOTA);
    const first = await upload(bytes, 'k');
    expect(first.status).toBe(201);
    const copy = await upload(bytes, 'k');
    expect([copy.status, copy.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    expect(await copy.json()).toEqual(await first.json());
    expect((await upload(randomBytes(SIZE), 'k')).status).toBe(422);
    expect((await upload(bytes, 'other')).status).toBe(507);
    expect([await usage(), files().length]).toMatchObject([{ stored_bytes: QUOTA }, 1]);
    expect(await run('select artifact_id from artifact_room')).toEqual([]);
  });

  it('gives the room of an upload back that ends in no artifact', async () => {
    const broken = await call('POST', `/v1/artifacts?filename=x&turn_id=${tenantId}`, { body: randomBytes(SIZE) });
    expect(broken.status).toBe(404);
    const key = 'same';
    const answers = await Promise.all(Array.from({ length: 4 }, () => upload(Buffer.alloc(SIZE), key)));
    for (const { status } of answers) expect([201, 409]).toContain(status);
    expect((await upload(Buffer.alloc(SIZE), key)).headers.get('idempotency-replayed')).toBe('true');
    expect(await usage()).toMatchObject({ stored_bytes: SIZE });
    expect(await run('select artifact_id from artifact_room')).toEqual([]);
  });
});
