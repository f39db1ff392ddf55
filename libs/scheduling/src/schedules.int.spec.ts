import { randomUUID } from 'node:crypto';
import { LocalBackplane } from '@tyrum/backplane';
import { DEFAULT_TENANT_ID, ScheduleCreateBody, validatePayload, type Schedule } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import { Tenants } from '@tyrum/statestore/records';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { MAX_SCHEDULES_PER_TENANT, Schedules } from './schedules';

const OTHER_TENANT = '00000000-0000-4000-8000-00000000000b';

function body(over: object = {}): ScheduleCreateBody {
  return validatePayload(ScheduleCreateBody, {
    kind: 'heartbeat',
    cadence: { type: 'interval', interval_ms: 60_000 },
    execution: {
      kind: 'steps',
      conversation_key: 'agent:default:main',
      steps: [{ type: 'CLI', args: { cmd: 'true', args: [] } }],
    },
    ...over,
  });
}

describeOnBothDialects('schedules', (stores) => {
  let store: StateStore;
  let backplane: LocalBackplane;
  let schedules: Schedules;

  beforeEach(async () => {
    store = await stores().open();
    backplane = new LocalBackplane();
    schedules = new Schedules(store, backplane, randomUUID);
    await store.transaction((tx) =>
      tx.records(Tenants).insert({ tenant_id: OTHER_TENANT, slug: 'other', created_at: 1, disabled_at: null }),
    );
  });

  it('creates, shows, lists and removes, and says so to the schedulers', async () => {
    let changes = 0;
    backplane.subscribe('timers', () => (changes += 1));
    const delivery = { channel: 'ui' };
    const created = await schedules.create(DEFAULT_TENANT_ID, body({ delivery }));
    expect(changes).toBe(1);
    expect(created).toEqual<Schedule>({
      schedule_id: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown as string,
      kind: 'heartbeat',
      cadence: { type: 'interval', interval_ms: 60_000 },
      execution: { ...body().execution },
      delivery,
      enabled: true,
      next_fire_at: new Date(Date.parse(created.created_at) + 60_000).toISOString(),
      last_fired_at: null,
      created_at: created.created_at,
      updated_at: created.created_at,
    });
    expect(Math.abs(Date.parse(created.created_at) - Date.now())).toBeLessThan(60_000);
    expect(await schedules.get(DEFAULT_TENANT_ID, created.schedule_id)).toEqual(created);
    expect(await schedules.list(DEFAULT_TENANT_ID)).toEqual([created]);
    expect(await schedules.remove(DEFAULT_TENANT_ID, created.schedule_id)).toBe(true);
    expect(await schedules.remove(DEFAULT_TENANT_ID, created.schedule_id)).toBe(false);
    expect(await schedules.list(DEFAULT_TENANT_ID)).toEqual([]);
  });

  it('keeps tenants apart, and takes no odd id for one', async () => {
    const { schedule_id } = await schedules.create(DEFAULT_TENANT_ID, body());
    expect(await schedules.list(OTHER_TENANT)).toEqual([]);
    expect(await schedules.get(OTHER_TENANT, schedule_id)).toBeUndefined();
    expect(await schedules.remove(OTHER_TENANT, schedule_id)).toBe(false);
    for (const id of ['1', schedule_id.toUpperCase().replace(/^/, '{'), `${schedule_id}' or 1=1`]) {
      expect(await schedules.get(DEFAULT_TENANT_ID, id)).toBeUndefined();
      expect(await schedules.remove(DEFAULT_TENANT_ID, id)).toBe(false);
    }
    expect(await schedules.list(DEFAULT_TENANT_ID)).toHaveLength(1);
  });

  it('has no next instant while disabled', async () => {
    expect(await schedules.create(DEFAULT_TENANT_ID, body({ enabled: false }))).toMatchObject({
      enabled: false,
      next_fire_at: null,
    });
  });

  it('computes the first instant of a cron in its zone', async () => {
    const cadence = { type: 'cron', expression: '30 9 * * *', timezone: 'Asia/Kolkata' };
    const { next_fire_at, created_at } = await schedules.create(DEFAULT_TENANT_ID, body({ kind: 'cron', cadence }));
    expect(next_fire_at).toMatch(/T04:00:00\.000Z$/);
    expect(Date.parse(next_fire_at ?? '') - Date.parse(created_at)).toBeLessThanOrEqual(24 * 60 * 60_000);
  });

  it.each([
    [{ kind: 'cron' }, /^cadence\.type: must be cron/],
    [{ kind: 'cron', cadence: { type: 'cron', expression: '99 * * * *', timezone: 'UTC' } }, /^cadence\.expression: /],
    [{ kind: 'cron', cadence: { type: 'cron', expression: '0 0 31 2 *', timezone: 'UTC' } }, /^cadence\.expression: /],
    [
      {
        execution: {
          kind: 'steps',
          conversation_key: 'agent:default:main',
          steps: [{ type: 'Pay', args: {} }],
        },
      },
      /^execution\.steps\[0\]\.type: /,
    ],
  ])('refuses %j', async (over, message) => {
    await expect(schedules.create(DEFAULT_TENANT_ID, body(over))).rejects.toMatchObject({
      code: 'contract_error',
      message: expect.stringMatching(message) as unknown as string,
    });
    expect(await schedules.list(DEFAULT_TENANT_ID)).toEqual([]);
  });

  it('stops at the number of schedules a tenant may have', async () => {
    const rows = Array.from({ length: MAX_SCHEDULES_PER_TENANT }, () => randomUUID());
    await store.execute(
      {
        name: 'fill',
        postgres: `insert into schedule (tenant_id, schedule_id, kind, cadence, execution, enabled, created_at, updated_at)
          select $1::uuid, value::uuid, 'cron', '{}', '{}', false, 1, 1 from json_array_elements_text($2::json)`,
        sqlite: `insert into schedule (tenant_id, schedule_id, kind, cadence, execution, enabled, created_at, updated_at)
          select ?1, value, 'cron', '{}', '{}', false, 1, 1 from json_each(?2)`,
      },
      [DEFAULT_TENANT_ID, JSON.stringify(rows)],
    );
    await expect(schedules.create(DEFAULT_TENANT_ID, body())).rejects.toMatchObject({ code: 'conflict' });
    await expect(schedules.create(OTHER_TENANT, body())).resolves.toMatchObject({ enabled: true });
  });
});
