import { accept } from './accept';
import { bareAccept, bareDrain } from './bare';
import { bareIdle, bareIdleWorker } from './bare-idle';
import { bareEdge, bareSocketTurns, bareWorker } from './bare-socket-turns';
import { drain, keyed, steps } from './drain';
import type { Driver } from './driver';
import { fanOut } from './fan-out';
import { fanOutClients } from './fan-out-clients';
import { fullTurn } from './full-turn';
import { growth } from './growth';
import { idle, idleInProcess, idleWorker } from './idle';
import { idleProcess } from './idle-process';
import { rawInserts } from './raw-inserts';
import { shell } from './shell';
import { socketTurns } from './socket-turns';
import { takeover, takeoverWorker } from './takeover';

/** Every driver, by the name that plans use. */
export const DRIVERS: Readonly<Record<string, Driver>> = {
  accept,
  drain,
  keyed,
  steps,
  fanOut,
  fanOutClients,
  fullTurn,
  idle,
  idleInProcess,
  idleWorker,
  idleProcess,
  bareAccept,
  bareDrain,
  bareEdge,
  bareIdle,
  bareIdleWorker,
  bareSocketTurns,
  bareWorker,
  growth,
  rawInserts,
  shell,
  socketTurns,
  takeover,
  takeoverWorker,
};
