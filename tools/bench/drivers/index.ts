import { accept } from './accept';
import { bareAccept, bareDrain } from './bare';
import { drain, keyed, steps } from './drain';
import type { Driver } from './driver';
import { fullTurn } from './full-turn';
import { growth } from './growth';
import { idle, idleInProcess, idleWorker } from './idle';
import { idleProcess } from './idle-process';
import { shell } from './shell';
import { takeover, takeoverWorker } from './takeover';

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
  idleProcess,
  bareAccept,
  bareDrain,
  growth,
  shell,
  takeover,
  takeoverWorker,
};
