import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { TurnAnswer, TurnReader } from '@tyrum/execution';
import { TurnWaits } from './turn-waits';
import { TurnWatch } from './turn-watch';

const TURN = { turn: { finished_at: null }, steps: [] } as unknown as TurnAnswer;

it('is over in time, whatever is collected meanwhile', async () => {
  const reader = { get: () => Promise.resolve(TURN) } as Pick<TurnReader, 'get'> as TurnReader;
  const waits = new TurnWaits(reader, new TurnWatch(), () => Promise.resolve(true));
  const waiting = waits.wait({
    tenantId: 'tenant',
    tokenId: 'token',
    turnId: 'turn',
    timeoutMs: 500,
    until: 'end',
    signal: new AbortController().signal,
    onProgress: () => undefined,
  });
  setFlagsFromString('--expose-gc');
  for (let round = 0; round < 3; round += 1) {
    await sleep(20);
    (runInNewContext('gc') as () => void)();
  }
  setFlagsFromString('--no-expose-gc');
  await expect(Promise.race([waiting, sleep(20_000, undefined, { ref: false })])).resolves.toMatchObject({
    outcome: 'running',
  });
  expect(waits.size).toBe(0);
});
