import { LIMITS } from './limits';
import { OneOf, Optional, Text, Uuid, WholeNumber } from './payload-fields';

/** What an operator wants of a desktop. */
export const DESKTOP_DESIRES = ['running', 'stopped'] as const;
export type DesktopDesire = (typeof DESKTOP_DESIRES)[number];

/**
 * How a desktop is: `pending` (no host has taken it up yet), `starting`, `running` (its node is paired and connected), `stopped`,
 * `failed` (it ended or could not be started; its host tries again), `lost` (its host is gone: move it, or wait for the host).
 */
export type DesktopStatus = 'pending' | 'starting' | 'running' | 'stopped' | 'failed' | 'lost';

/** `POST /v1/desktop-environments`. */
export class DesktopCreateBody {
  @Optional()
  @Text(LIMITS.labelLength)
  label?: string;

  /** Which host shall carry it; absent: the first with a free place. */
  @Optional()
  @Uuid()
  host_id?: string;

  /** Of the screen, in pixels; 1280 when absent. */
  @Optional()
  @WholeNumber(LIMITS.desktopSideMin, LIMITS.desktopSideMax)
  width?: number;

  /** 800 when absent. */
  @Optional()
  @WholeNumber(LIMITS.desktopSideMin, LIMITS.desktopSideMax)
  height?: number;

  /** `running` when absent. */
  @Optional()
  @OneOf(DESKTOP_DESIRES)
  desired?: DesktopDesire;
}

/** `POST /v1/desktop-environments/:id/move`. */
export class DesktopMoveBody {
  /** Absent: the first host with a free place, its own included. */
  @Optional()
  @Uuid()
  host_id?: string;
}

/** A desktop that a host keeps. While it runs it is a paired node with the capabilities `tyrum.desktop.*`. */
export interface DesktopEnvironment {
  environment_id: string;
  label?: string;
  /** Null until a host has taken it up. */
  host_id: string | null;
  width: number;
  height: number;
  desired: DesktopDesire;
  status: DesktopStatus;
  /** What `args.node_id` of a step names. Another one after a move. */
  node_id: string | null;
  /** Why it failed. */
  error?: string;
  created_at: string;
  updated_at: string;
}

export interface DesktopResult {
  environment: DesktopEnvironment;
}

/** All of a tenant's: they are limited in number. */
export interface DesktopList {
  environments: DesktopEnvironment[];
}
