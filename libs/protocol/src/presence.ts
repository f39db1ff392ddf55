import type { JsonValue } from './json';

export const PRESENCE_MODES = [
  'ui',
  'web',
  'cli',
  'node',
  'backend',
  'probe',
  'test',
  'desktop',
  'browser-node',
] as const;
export type PresenceMode = (typeof PRESENCE_MODES)[number];

export type PresenceReason = 'self' | 'connect' | 'periodic' | 'node-connected' | 'prune';

/** Who is there, as last heard. */
export interface PresenceEntry {
  /** The device id. */
  instance_id: string;
  role: 'gateway' | 'client' | 'node';
  host?: string;
  ip?: string;
  version?: string;
  mode?: PresenceMode;
  last_seen_at: string;
  last_input_seconds?: number;
  reason?: PresenceReason;
  metadata?: JsonValue;
}
