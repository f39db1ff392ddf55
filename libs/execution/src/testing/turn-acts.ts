import { act, type Act } from '@tyrum/statestore/testing';
import fc from 'fast-check';
import type { Mode, Planned } from './model-turns';
import { CONVERSATIONS, type Key, type Owner } from './model-turns';
import { MAX_TURN_ATTEMPTS, type Outcome } from './model-run';
import type { RealTurns } from './real-turns';
import type { TurnModel } from './turn-model';

type TurnAct = Act<TurnModel, RealTurns>;

const owner = fc.constantFrom<Owner>('p', 'q');
const anyKey = fc.constantFrom<Key>(...CONVERSATIONS);
/** Nobody but turns starts anything among the children. */
const key = fc.constantFrom<Key>(CONVERSATIONS[0], CONVERSATIONS[1]);
const turn = fc.integer({ min: 1, max: 8 });
const plan = fc.array(fc.constantFrom<Planned>('quick', 'read', 'idempotent', 'once'), { minLength: 1, maxLength: 3 });
const request = fc.option(fc.nat(1), { nil: undefined, freq: 2 });

const submit = (kind: 'workflow' | 'chat'): TurnAct =>
  act(kind, fc.record({ key, request, plan: kind === 'chat' ? fc.constant([]) : plan }), {
    expected: (model, a) => model.submit({ ...a, kind }),
    actual: (real, a) => real.submit({ ...a, kind }),
  });

/** A worker takes what is due and runs it up to its first step. */
const claim: TurnAct = act('claim', fc.record({ owner }), {
  expected: (model, a) => model.claim(a.owner, false),
  actual: (real, a) => real.claim(a.owner, false),
});

/** It takes what is due and dies over it. */
const claimAndDie: TurnAct = act('claimAndDie', owner, {
  expected: (model, o) => model.claim(o, true),
  actual: (real, o) => real.claim(o, true),
});

/** The lease is left behind until its time is over. */
const die: TurnAct = act('die', owner, {
  expected: (model, o) => model.die(o),
  actual: (real, o) => Promise.resolve(real.die(o)),
});

const settle = (outcomes: fc.Arbitrary<Outcome>): TurnAct =>
  act('settle', fc.record({ owner, nth: fc.nat(2), outcome: outcomes }), {
    fits: (model, a) => model.runsOf(a.owner).length > a.nth,
    expected: (model, a) => model.runsOf(a.owner)[a.nth]?.settle(a.outcome),
    actual: (real, a) => real.settle(a.owner, a.nth, a.outcome),
  });

/** All steps of a worker end in the same moment: the good writes and the stale ones travel together. */
const settleAll = (outcomes: fc.Arbitrary<Outcome>): TurnAct =>
  act('settleAll', fc.record({ owner, outcome: outcomes }), {
    fits: (model, a) => model.runsOf(a.owner).length > 1,
    expected: (model, a) => {
      for (const run of model.runsOf(a.owner)) run.settle(a.outcome);
    },
    actual: (real, a) => real.settleAll(a.owner, a.outcome),
  });

const renew: TurnAct = act('renew', owner, {
  expected: (model, o) => model.renew(o),
  actual: (real, o) => real.renew(o),
});

const pass: TurnAct = act('pass', anyKey, {
  expected: (model, k) => model.pass(k),
  actual: (real, k) => real.pass(k),
});

/** Its worker does not come back, and the next one takes over. */
const takeOver: TurnAct = act('takeOver', fc.record({ key: anyKey, owner }), {
  expected: (model, a) => {
    model.pass(a.key);
    return model.claim(a.owner, false);
  },
  actual: async (real, a) => {
    await real.pass(a.key);
    return real.claim(a.owner, false);
  },
});

/** It takes over, perhaps from its own earlier self, which does not know yet; what both come to is written together. */
const takeOverInHaste: TurnAct = act('takeOverInHaste', fc.record({ key: anyKey, owner }), {
  expected: (model, a) => {
    model.pass(a.key);
    const claimed = model.claim(a.owner, false);
    for (const run of model.runsOf(a.owner)) run.settle('succeed');
    return claimed;
  },
  actual: async (real, a) => {
    await real.pass(a.key);
    const claimed = await real.claim(a.owner, false);
    await real.settleAll(a.owner, 'succeed');
    return claimed;
  },
});

/** One worker after the other dies over it before it has done anything; the last one finds out. */
const perish: TurnAct = act('perish', fc.record({ key: anyKey, owner }), {
  expected: (model, a) => {
    for (let i = 0; i < MAX_TURN_ATTEMPTS; i += 1) {
      model.pass(a.key);
      model.claim(a.owner, true);
    }
    model.pass(a.key);
    return model.claim(a.owner, false);
  },
  actual: async (real, a) => {
    for (let i = 0; i < MAX_TURN_ATTEMPTS; i += 1) {
      await real.pass(a.key);
      await real.claim(a.owner, true);
    }
    await real.pass(a.key);
    return real.claim(a.owner, false);
  },
});

const cancel: TurnAct = act('cancel', turn, {
  expected: (model, name) => model.cancel(name),
  actual: (real, name) => real.cancel(name),
});

const resolve: TurnAct = act(
  'resolve',
  fc.record({ turn, decision: fc.constantFrom('retry' as const, 'done' as const, 'fail' as const) }),
  {
    expected: (model, a) => model.resolve(a.turn, a.decision),
    actual: (real, a) => real.resolve(a.turn, a.decision),
  },
);

const redrive: TurnAct = act(
  'redrive',
  fc.record({ turn, decision: fc.constantFrom('retry' as const, 'done' as const, undefined) }),
  {
    expected: (model, a) => model.redrive(a.turn, a.decision),
    actual: (real, a) => real.redrive(a.turn, a.decision),
  },
);

const setQueue: TurnAct = act(
  'setQueue',
  fc.record({
    key,
    mode: fc.constantFrom<Mode>('followup', 'collect', 'steer', 'steer_backlog', 'interrupt'),
    cap: fc.constantFrom(null, 1, 2),
    overflow: fc.constantFrom('reject' as const, 'drop_oldest' as const),
  }),
  {
    expected: (model, { key: k, ...queue }) => model.setQueue(k, queue),
    actual: (real, { key: k, ...queue }) => real.setQueue(k, queue),
  },
);

const arrive: TurnAct = act(
  'arrive',
  fc.record({ key, signal: fc.constantFrom('s' as const, 't' as const), success: fc.boolean() }),
  {
    expected: (model, a) => model.arrive(`signal ${a.signal} of ${a.key}`, a.success),
    actual: (real, a) => real.arriveSignal(`signal ${a.signal} of ${a.key}`, a.success),
  },
);

const wait = fc.record({ signal: fc.constantFrom('s' as const, 't' as const), timed: fc.boolean() });

/** The turn's life: accepted once, run under leases that are lost, cancelled, given up and brought back, queued by mode. */
export const TURN_ACTS: readonly TurnAct[] = [
  submit('workflow'),
  submit('chat'),
  claim,
  claimAndDie,
  die,
  settle(fc.constantFrom<Outcome>('succeed', 'succeed', 'ask', 'fail', 'fail_for_now', 'unknown')),
  settleAll(fc.constantFrom<Outcome>('succeed', 'fail', 'unknown')),
  renew,
  pass,
  takeOver,
  takeOverInHaste,
  perish,
  cancel,
  resolve,
  redrive,
  setQueue,
];

/** Waiting: for signals and children, with and without a time limit, and for what came before or twice. */
export const WAIT_ACTS: readonly TurnAct[] = [
  submit('workflow'),
  claim,
  claimAndDie,
  settle(fc.oneof(wait, fc.constantFrom<Outcome>('succeed', 'fail', 'start_child', 'start_child'))),
  settle(wait),
  settleAll(fc.constantFrom<Outcome>('succeed', 'start_child')),
  renew,
  pass,
  takeOver,
  takeOverInHaste,
  cancel,
  arrive,
  arrive,
];
