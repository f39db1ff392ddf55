import { ScriptedExecutor, TestEngine } from '@tyrum/execution/testing';
import { Module } from '@nestjs/common';
import { AuditLog } from '@tyrum/evidence';
import {
  AuditChainCheck,
  DEFAULT_TENANT_ID,
  type AuditEntry,
  type AuditListResult,
  type AuditSeal,
} from '@tyrum/protocol';
import { Schedules } from '@tyrum/scheduling';
import { SchedulingModule } from '@tyrum/scheduling/nest';
import { portable, StoreUnavailableError } from '@tyrum/statestore';
import { eventually } from '@tyrum/test-services';
import { SCHEDULES_PORT } from './ports';
import { startTestEdge, TestClient, TestDevice, type TestEdge } from './testing';

@Module({
  imports: [SchedulingModule],
  providers: [{ provide: SCHEDULES_PORT, useExisting: Schedules }],
  exports: [SCHEDULES_PORT],
})
class SchedulesOverHttp {}

const ORIGIN = 'https://console.example';
const CANARY = 'canary-91c2';
const conversation_key = 'agent:default:main';
const once = { type: 'CLI', args: { cmd: 'echo', args: [CANARY], effect: 'once' } };
const steps = [once];

describe.each(['sqlite', 'postgres'] as const)('the audit over HTTP on %s', (database) => {
  let edge: TestEdge;
  let admin: string;
  let actor: string;

  beforeEach(async () => {
    const env = { TYRUM_WEBHOOK_KEY: 'k'.repeat(32), TYRUM_ALLOWED_ORIGINS: ORIGIN };
    edge = await startTestEdge({ database, imports: [SchedulesOverHttp], env });
    admin = await edge.issue();
    actor = `token:${admin.split('.')[2]}`;
  });
  afterEach(() => edge.stop());

  const send = async (method: string, path: string, body?: object, token = admin) => {
    const answer = await fetch(`${edge.httpUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', origin: ORIGIN },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return (text === '' ? undefined : text.startsWith('{"kind"') ? text : JSON.parse(text)) as never;
  };
  const audit = async (query = '', token = admin): Promise<AuditEntry[]> =>
    ((await send('GET', `/v1/audit?limit=500&${query}`, undefined, token)) as AuditListResult).entries;
  const types = async (query = '') => (await audit(query)).map(({ type }) => type).reverse();
  const made = (path: string, body: object, token = admin) =>
    send('POST', path, body, token) as Promise<Record<string, string>>;

  it('has what people change, by whom, and nothing of what they sent', async () => {
    const token = await made('/v1/tokens', { role: 'client', scopes: ['operator.read'] });
    await send('DELETE', `/v1/tokens/${token['token_id']}`);
    const { tenant, admin: first } = (await send('POST', '/v1/tenants', { slug: 'acme' })) as {
      tenant: { tenant_id: string };
      admin: { token: string; token_id: string };
    };
    await send('PATCH', `/v1/tenants/${tenant.tenant_id}`, { max_requests: 1000 });
    const schedule = await made('/v1/schedules', {
      kind: 'heartbeat',
      cadence: { type: 'interval', interval_ms: 3_600_000 },
      execution: { kind: 'steps', conversation_key, steps },
    });
    await send('DELETE', `/v1/schedules/${schedule['schedule_id']}`);
    const { webhook } = (await send('POST', '/v1/webhooks', {
      label: 'w',
      execution: { kind: 'steps', conversation_key, steps },
    })) as { webhook: { trigger_id: string } };
    await send('POST', `/v1/webhooks/${webhook.trigger_id}/renew`);
    await send('DELETE', `/v1/webhooks/${webhook.trigger_id}`);
    await send('PUT', '/v1/claim-shares', { weight: 3 });
    await send('POST', '/v1/session');
    const turn = await made('/v1/workflows', { conversation_key, steps });
    await made(`/v1/turns/${turn['workflow_run_id']}/cancel`, { reason: CANARY });
    expect(await types(`actor=${actor}`)).toEqual([
      'token.issued',
      'token.revoked',
      'tenant.created',
      'tenant.changed',
      'schedule.created',
      'schedule.deleted',
      'webhook.created',
      'webhook.renewed',
      'webhook.deleted',
      'share.set',
      'session.begun',
      'turn.cancelled',
    ]);
    expect(await audit(`subject=token:${token['token_id']}`)).toMatchObject([
      { type: 'token.revoked', actor },
      { type: 'token.issued', actor, detail: { role: 'client', scopes: ['operator.read'] } },
    ]);
    // The other tenant's own chain does not name anybody of this one.
    const theirs = await audit('', first.token);
    expect(theirs.map(({ type, actor: by }) => [type, by]).reverse()).toEqual([
      ['tenant.created', 'installation'],
      ['token.issued', 'installation'],
      ['tenant.changed', 'installation'],
    ]);
    const all = JSON.stringify([await audit(), theirs]);
    for (const secret of [CANARY, token['token'], admin, first.token]) expect(all).not.toContain(secret as string);
  });

  it('has each request once, however often it was sent', async () => {
    for (let i = 0; i < 3; i += 1) {
      await fetch(`${edge.httpUrl}/v1/tokens`, {
        method: 'POST',
        headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json', 'idempotency-key': 'one' },
        body: JSON.stringify({ role: 'client' }),
      });
    }
    expect(await types(`type=token.issued&actor=${actor}`)).toEqual(['token.issued']);
  });

  it('has refusals, counted', async () => {
    const client = await edge.issue({ role: 'client', scopes: ['operator.read'] });
    for (let i = 0; i < 3; i += 1)
      await fetch(`${edge.httpUrl}/v1/tokens`, { headers: { authorization: `Bearer ${client}` } });
    await fetch(`${edge.httpUrl}/v1/turns`, { headers: { authorization: `Bearer ${client.slice(0, -4)}AAAA` } });
    const refused = await eventually(async () => {
      const found = [...(await audit('type=authz.denied')), ...(await audit('type=auth.failed'))];
      expect(found.reduce((sum, { detail }) => sum + Number(detail['count']), 0)).toBe(4);
      return found;
    });
    expect(refused[0]).toMatchObject({
      actor: `token:${client.split('.')[2]}`,
      detail: { reason: 'scope', subject: 'GET /v1/tokens' },
    });
    expect(JSON.stringify(refused)).not.toContain(client.split('.')[3]);
  });

  it('has who came in over the WebSocket, and who did not', async () => {
    const device = new TestDevice();
    const token = await edge.issue({ role: 'client', deviceId: device.deviceId });
    const by = `actor=token:${token.split('.')[2]}`;
    for (let i = 0; i < 3; i += 1) await (await TestClient.connect(edge.socketUrl, token, { device })).close();
    await expect(TestClient.connect(edge.socketUrl, token)).rejects.toThrow();
    await eventually(async () =>
      expect((await audit(by)).map(({ type, detail }) => [type, detail]).reverse()).toEqual(
        expect.arrayContaining([
          ['session.begun', { door: 'ws', role: 'client', devices: [device.deviceId], count: expect.any(Number) }],
          ['auth.failed', { door: 'ws', reason: 'other_device', token_id: token.split('.')[2], count: 1 }],
        ]),
      ),
    );
    // However often it comes again: what follows is told of when ten minutes have passed.
    expect(await types(`${by}&type=session.begun`)).toEqual(['session.begun']);
  });

  it('has side effects, what allowed them, and the ends of those that nobody knows', async () => {
    const engine = new TestEngine(edge.store, edge.backplane);
    const outcomes = [
      { kind: 'succeeded', result: { output: CANARY } },
      { kind: 'unknown', detail: CANARY },
    ] as const;
    let runs = 0;
    const executor = new ScriptedExecutor(({ effect }) =>
      Promise.resolve(effect === 'once' ? (outcomes[runs++] ?? outcomes[0]) : { kind: 'succeeded', result: {} }),
    );
    engine.process(executor, { policy: { tools: new Set(['CLI']) } });
    try {
      const read = { type: 'Http', args: { method: 'GET', url: 'http://x.example/' } };
      const turn = await made('/v1/workflows', { conversation_key, steps: [read, once, once] });
      const subject = `turn:${turn['workflow_run_id']}`;
      for (let i = 0; i < 2; i += 1) {
        const approval = await eventually(async () => {
          const { approvals } = (await send('GET', '/v1/approvals?status=awaiting_human')) as {
            approvals: { approval_id: string }[];
          };
          expect(approvals).toHaveLength(1);
          return approvals[0]?.approval_id ?? '';
        });
        await made(`/v1/approvals/${approval}/resolve`, { decision: 'approved' });
        await made(`/v1/approvals/${approval}/resolve`, { decision: 'approved' });
        await eventually(async () =>
          expect(await types(`subject=approval:${approval}`)).toEqual(['approval.resolved', 'approval.consumed']),
        );
      }
      await eventually(async () => expect(await types(`subject=${subject}`)).toContain('step.unknown'));
      await made(`/v1/turns/${turn['workflow_run_id']}/resolve`, { decision: 'done' });
      const entries = (await audit(`subject=${subject}`)).reverse();
      expect(entries.map(({ type, actor: by, detail }) => [type, by, detail['step_index']])).toEqual([
        // Before it was found that it has to be asked for, and again when it was allowed: one attempt.
        ['step.intended', 'engine', 1],
        ['step.intended', 'engine', 1],
        ['step.settled', 'engine', 1],
        ['step.intended', 'engine', 2],
        ['step.intended', 'engine', 2],
        ['step.unknown', 'engine', 2],
        ['step.settled', 'operator', 2],
        ['turn.resolved', actor, 2],
      ]);
      expect(entries[0]?.detail).toMatchObject({
        tool: 'CLI',
        attempt: 1,
        args_sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      });
      expect(entries[2]?.detail).toMatchObject({
        status: 'succeeded',
        result_sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      });
      expect(JSON.stringify(await audit())).not.toContain(CANARY);
    } finally {
      await engine.stop();
    }
  });

  it('has decisions about nodes', async () => {
    const node = await TestClient.connect(edge.socketUrl, await edge.issue({ role: 'node' }), {
      device: new TestDevice(),
      role: 'node',
      capabilities: [{ id: 'tyrum.fs.read', version: '1.0.0' }],
    });
    const { pairing_id: id } = (await node.event('pairing.updated')).payload.pairing;
    await made(`/v1/pairings/${id}/approve`, { trust_level: 'local', capability_allowlist: [] });
    await made(`/v1/pairings/${id}/revoke`, {});
    await node.close();
    expect(await types(`subject=pairing:${id}`)).toEqual(['pairing.approved', 'pairing.revoked']);
  });

  it('costs an ordinary turn nothing', async () => {
    const count = async () =>
      Number(
        (await edge.store.execute<{ n: number }>(portable('count', 'select count(*) as n from audit_pending')))[0]?.n,
      );
    const engine = new TestEngine(edge.store, edge.backplane);
    engine.process(new ScriptedExecutor(() => Promise.resolve({ kind: 'succeeded', result: {} })));
    await audit();
    const args = { op: 'write', path: 'x', content: 'y' };
    const turn = await made('/v1/workflows', { conversation_key, steps: [{ type: 'Filesystem', args }] });
    await eventually(async () =>
      expect((await engine.reader.get(DEFAULT_TENANT_ID, turn['workflow_run_id'] ?? ''))?.turn.status).toBe(
        'succeeded',
      ),
    );
    await engine.stop();
    expect(await count()).toBe(0);
  });

  it('breaks the transfer of an export that fails midway, so that no part passes for the whole', async () => {
    await made('/v1/tokens', { role: 'client' });
    const whole = AuditLog.prototype.export;
    const failing = jest.spyOn(AuditLog.prototype, 'export').mockImplementation(async function* (
      this: AuditLog,
      tenantId: string,
    ) {
      for await (const line of whole.call(this, tenantId)) {
        yield line;
        throw new Error('the database has gone');
      }
    });
    try {
      await expect(send('GET', '/v1/audit/export')).rejects.toThrow('terminated');
    } finally {
      failing.mockRestore();
    }
  });

  it.each([
    ['what nobody expects', new Error('connect ECONNREFUSED 10.0.0.5'), 500, 'internal'],
    ['a database that is away', new StoreUnavailableError('10.0.0.5 is away', 1_000), 503, 'overloaded'],
  ])('answers an export that fails before its first line with a problem: %s', async (_what, error, status, code) => {
    const failing = jest.spyOn(AuditLog.prototype, 'export').mockImplementation(async function* () {
      yield await Promise.reject<never>(error);
    });
    try {
      const answer = await fetch(`${edge.httpUrl}/v1/audit/export`, { headers: { authorization: `Bearer ${admin}` } });
      const text = await answer.text();
      expect([answer.status, answer.headers.get('content-type')]).toEqual([status, 'application/problem+json']);
      expect(JSON.parse(text)).toMatchObject({ code, status, instance: '/v1/audit/export' });
      expect(text).not.toContain(error.message);
    } finally {
      failing.mockRestore();
    }
  });

  it('goes on where a page ends, exports what it lists, and signs it', async () => {
    for (let i = 0; i < 5; i += 1) await made('/v1/tokens', { role: 'client', label: `t${i}` });
    const paged: number[] = [];
    let cursor = '';
    do {
      const page = (await send('GET', `/v1/audit?limit=2${cursor}`)) as AuditListResult;
      paged.push(...page.entries.map(({ seq }) => seq));
      cursor = page.next_cursor ? `&cursor=${page.next_cursor}` : '';
    } while (cursor !== '');
    const head = (await send('GET', '/v1/audit/head')) as AuditSeal;
    expect(paged).toEqual(Array.from({ length: head.seq }, (_, i) => head.seq - i));
    const text = await (
      await fetch(`${edge.httpUrl}/v1/audit/export`, { headers: { authorization: `Bearer ${admin}` } })
    ).text();
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditSeal | ({ kind: 'entry' } & AuditEntry));
    const check = new AuditChainCheck(DEFAULT_TENANT_ID, [head]);
    for (const line of lines) if (line.kind === 'entry') check.next(line);
    expect(check.end(lines.at(-1) as AuditSeal)).toBeUndefined();
    await edge.store.execute(portable('forge', `update audit_entry set actor = 'token:x' where seq = ${head.seq}`));
    const refused = async (path: string) =>
      (await fetch(`${edge.httpUrl}${path}`, { headers: { authorization: `Bearer ${admin}` } })).status;
    await made('/v1/tokens', { role: 'client' });
    expect(await refused('/v1/audit/head')).toBe(200);
    await edge.store.execute(portable('forge', `update audit_entry set actor = 'token:x' where seq = ${head.seq + 1}`));
    await edge.store.execute(portable('unsign', `update audit_head set sealed = null, sealed_seq = 0`));
    expect(await refused('/v1/audit/head')).toBe(409);
    expect(await refused('/v1/audit?cursor=x')).toBe(400);
    expect(await refused('/v1/audit?type=x')).toBe(400);
    const client = await edge.issue({ role: 'client', scopes: ['operator.read', 'operator.write'] });
    for (const path of ['', '/head', '/export']) {
      const { status } = await fetch(`${edge.httpUrl}/v1/audit${path}`, {
        headers: { authorization: `Bearer ${client}` },
      });
      expect(status).toBe(403);
    }
  });
});
