import type { Readable } from 'node:stream';
import type { ArtifactKind, ArtifactRef, Schedule, ScheduleCreateBody } from '@tyrum/protocol';
import type { Tx } from '@tyrum/statestore';

/** Injection token of a `SchedulesPort`. Without one the routes under `/v1/schedules` answer `not_found`. */
export const SCHEDULES_PORT = Symbol('tyrum.schedules');

/** Keeps schedules; `@tyrum/scheduling` does. */
export interface SchedulesPort {
  /** @throws {WireError} contract_error for a cadence that cannot be kept */
  createIn(tx: Tx, tenantId: string, body: ScheduleCreateBody): Promise<Schedule>;
  /** After the commit of a schedule. */
  wake(): void;
  list(tenantId: string): Promise<Schedule[]>;
  /** False when the tenant has no such schedule. */
  remove(tenantId: string, scheduleId: string): Promise<boolean>;
}

/** Injection token of an `ArtifactsPort`. Without one `/v1/artifacts/:id` answers `not_found`. */
export const ARTIFACTS_PORT = Symbol('tyrum.artifacts');

/** Hands out artifacts; `@tyrum/evidence` does. */
export interface ArtifactsPort {
  /** What is known about an artifact of the tenant and its bytes, or `undefined`. The caller consumes the stream. */
  open(tenantId: string, artifactId: string): Promise<{ artifact: ArtifactRef; bytes: Readable } | undefined>;
  /** Keeps bytes, and hands back what makes them an artifact, in a transaction that other things belong to as well. */
  keep?(
    about: {
      readonly tenantId: string;
      readonly turnId: string;
      readonly stepIndex: number;
      readonly kind: ArtifactKind;
      readonly filename: string;
      readonly mimeType: string;
    },
    bytes: Buffer,
  ): Promise<(tx: Tx) => Promise<ArtifactRef>>;
}
