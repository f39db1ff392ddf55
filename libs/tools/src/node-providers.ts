import { randomUUID } from 'node:crypto';
import type { FactoryProvider } from '@nestjs/common';
import type { Backplane } from '@tyrum/backplane';
import { Waits } from '@tyrum/execution';
import { BACKPLANE, STATE_STORE } from '@tyrum/execution/nest';
import { DispatchLoop, Dispatches } from '@tyrum/nodes';
import type { StateStore } from '@tyrum/statestore';
import { NodeExecutor } from './node-executor';
import { WorkerObserver } from './worker-observer';

/** What a worker has for steps that nodes carry out. */
export const nodeProviders: FactoryProvider[] = [
  {
    provide: Dispatches,
    inject: [STATE_STORE, BACKPLANE, Waits],
    useFactory: (store: StateStore, backplane: Backplane, waits: Waits) =>
      new Dispatches({ store, backplane, waits, newId: randomUUID }),
  },
  {
    provide: DispatchLoop,
    inject: [Dispatches, BACKPLANE, WorkerObserver],
    useFactory: (dispatches: Dispatches, backplane: Backplane, observer: WorkerObserver) =>
      new DispatchLoop(dispatches, backplane, (error) => observer.trouble('dispatch', error)),
  },
  {
    provide: NodeExecutor,
    inject: [Dispatches, BACKPLANE],
    useFactory: (dispatches: Dispatches, backplane: Backplane) => new NodeExecutor(dispatches, backplane),
  },
];
