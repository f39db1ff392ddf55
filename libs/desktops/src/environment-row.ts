import type { DesktopDesire, DesktopEnvironment, DesktopStatus } from '@tyrum/protocol';

/** A desktop as it lies in the database; times in ms. */
export interface EnvironmentRow {
  readonly tenant_id: string;
  readonly environment_id: string;
  readonly label: string | null;
  readonly host_id: string | null;
  readonly width: number;
  readonly height: number;
  /** `absent`: deleted, and its host has yet to clear up. */
  readonly desired: DesktopDesire | 'absent';
  readonly status: Exclude<DesktopStatus, 'lost'>;
  readonly node_id: string | null;
  readonly error: string | null;
  /** Grows with each wish of an operator. */
  readonly generation: number;
  /** Grows with each move. */
  readonly placement: number;
  readonly created_at: number;
  readonly updated_at: number;
}

/** The same, and whether its host is there. */
export type PlacedRow = EnvironmentRow & { readonly host_is_online: boolean | number };

/** A desktop in its wire shape. What its host last said holds only while that host is there. */
export function toEnvironment(row: PlacedRow): DesktopEnvironment {
  const isLost = row.host_id !== null && !row.host_is_online && row.status !== 'stopped';
  return {
    environment_id: row.environment_id,
    ...(row.label === null ? {} : { label: row.label }),
    host_id: row.host_id,
    width: row.width,
    height: row.height,
    desired: row.desired === 'absent' ? 'stopped' : row.desired,
    status: isLost ? 'lost' : row.status,
    node_id: row.node_id,
    ...(row.error === null ? {} : { error: row.error }),
    created_at: new Date(row.created_at).toISOString(),
    updated_at: new Date(row.updated_at).toISOString(),
  };
}

/** What its node is called. */
export function labelOf({ label, environment_id }: EnvironmentRow): string {
  return label ?? `desktop ${environment_id}`;
}
