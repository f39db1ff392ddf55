import { accept } from './accept';
import { drain, keyed, steps } from './drain';
import type { Driver } from './driver';
import { fullTurn } from './full-turn';
import { idle, idleInProcess, idleWorker } from './idle';

/** Every driver, by the name that plans use. */
export const DRIVERS: Readonly<Record<string, Driver>> = {
  accept,
  drain,
  keyed,
  steps,
  fullTurn,
  idle,
  idleInProcess,
  idleWorker,
};
