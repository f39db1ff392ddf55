import { pruneDeletedDesktops, walkGoneHosts } from '@tyrum/desktops';
import {
  BlobRetention,
  pruneArtifactRooms,
  walkOldArtifacts,
  type AuditUpkeep,
  type SweptBlobStore,
} from '@tyrum/evidence';
import { IdempotencyLedger } from '@tyrum/idempotency';
import { walkDeadTokens } from '@tyrum/identity';
import { Leases } from '@tyrum/leases';
import { pruneDispatches } from '@tyrum/nodes';
import { DirectedMail, pruneCursors, pruneEdgeSlots, pruneOutbox } from '@tyrum/outbox';
import type { Deleted, StateStore } from '@tyrum/statestore';
import { ApprovalStore, TurnRetention } from '@tyrum/statestore/turns';
import { pruneFirings } from './sql/prune-firings';

/** How long things are kept that nobody needs to run, in ms. */
export interface KeptFor {
  /** Turns from their end, with their steps, artifacts and messages; conversations from their last sign of life. */
  readonly turnsMs: number;
  /** Events: for so long a client may be away and resume without a gap. */
  readonly eventsMs: number;
  /** What only tells of the past: lease history, firings, decided approvals, settled dispatches, dead tokens, gone hosts, arrivals nobody waited for. */
  readonly historyMs: number;
  /** Audit entries; a signed checkpoint stands for those before. */
  readonly auditMs: number;
}

/** What a sweep does with one table, or with tables whose rows go together. */
export interface RetentionPart {
  readonly what: string;
  /** A sweep stops after so many batches and the next one goes on: it must not keep the database busy for hours. */
  readonly maxBatches: number;
  step(limit: number): Promise<{ readonly deleted: Deleted; readonly more: boolean }>;
}

/** What a sweep needs besides the database. */
export interface SweptPlaces {
  /** Where artifacts' bytes lie, if this process sees the place. */
  readonly blobs?: SweptBlobStore;
  /** Absent: this process does not sign the audit, so it deletes none of it. */
  readonly audit?: AuditUpkeep;
}

const MAX_BATCHES = 100;
/** For walks over everything there is: what they look for is rare, and they come round in time. */
const MAX_WALK_BATCHES = 10;
/** Turns take their steps with them and conversations are locked: fewer at once. */
const SHARE_OF_BATCH = 10;

/** Between an artifact's bytes and its row lies no more than a step and its commit. */
const BLOB_GRACE_MS = 24 * 60 * 60 * 1_000;
/** Settled messages between edges; only their sender could still ask for them. */
const DIRECTED_MS = 24 * 60 * 60 * 1_000;

/**
 * Every table that grows, in the order in which rows let go of each other: turns before the messages and waits that they
 * keep, those before the conversations. docs/retention.md has the same list with the reasons.
 */
export function retentionParts(
  store: StateStore,
  { turnsMs, eventsMs, historyMs, auditMs }: KeptFor,
  { blobs, audit }: SweptPlaces,
): RetentionPart[] {
  const work = new TurnRetention(store);
  const mail = new DirectedMail(store);
  const leases = new Leases(store);
  const firings = async (limit: number) => (await store.execute(pruneFirings, [historyMs, limit])).length;
  return [
    emptied('outbox', (limit) => pruneOutbox(store, eventsMs, limit)),
    // A place is good for as long as the events after it are kept.
    emptied('outbox_cursor', (limit) => pruneCursors(store, eventsMs, limit)),
    emptied('edge_slot', (limit) => pruneEdgeSlots(store, eventsMs, limit)),
    returned(mail),
    emptied('directed_message', (limit) => mail.prune(DIRECTED_MS, limit)),
    emptied('idempotency_record', (limit) => new IdempotencyLedger().prune(store, limit)),
    emptied('lease_history', (limit) => leases.pruneHistory(historyMs, limit)),
    emptied('firing', firings),
    emptied('approval', (limit) => new ApprovalStore().prune(store, historyMs, limit)),
    emptied('dispatch', async (limit) => (await store.execute(pruneDispatches, [historyMs, limit])).length),
    walked('turn', work.turns(turnsMs), SHARE_OF_BATCH),
    walked('message', work.messages(turnsMs)),
    walked('artifact', walkOldArtifacts(store, turnsMs)),
    emptied('artifact_room', (limit) => pruneArtifactRooms(store, limit)),
    walked('wait', work.waits(historyMs)),
    walkedThrough('conversation', work.conversations(turnsMs), SHARE_OF_BATCH),
    walkedThrough('step', work.stepsWithoutTurn(), SHARE_OF_BATCH),
    walkedThrough('auth_token', walkDeadTokens(store, historyMs)),
    emptied('desktop_environment', (limit) => pruneDeletedDesktops(store, historyMs, limit)),
    walkedThrough('desktop_host', walkGoneHosts(store, historyMs)),
    ...(audit ? [auditEntries(audit, auditMs)] : []),
    ...(blobs ? [walkedThrough('blob', new BlobRetention(store, blobs, BLOB_GRACE_MS))] : []),
  ];
}

/** A table whose past rows come first in an index, so that the next batch finds the next ones. */
function emptied(table: string, prune: (limit: number) => Promise<number>): RetentionPart {
  const step = async (limit: number) => {
    const rows = await prune(limit);
    return { deleted: { [table]: rows }, more: rows >= limit };
  };
  return { what: table, maxBatches: MAX_BATCHES, step };
}

/** Edges send back what cannot be delivered; where no edge runs any more, somebody else has to. */
function returned(mail: DirectedMail): RetentionPart {
  const step = async (limit: number) => ({ deleted: {}, more: (await mail.returnUndeliverable(limit)) >= limit });
  return { what: 'undeliverable messages', maxBatches: MAX_BATCHES, step };
}

/** What has come since the last sweep is signed first: only what was signed may go. */
function auditEntries(audit: AuditUpkeep, keptForMs: number): RetentionPart {
  let isSealed = false;
  const step = async (limit: number) => {
    if (!isSealed) await audit.seal();
    const { deleted, more } = await audit.prune(keptForMs, limit);
    isSealed = more;
    return { deleted: { audit_entry: deleted }, more };
  };
  return { what: 'audit', maxBatches: MAX_BATCHES, step };
}

function walked(what: string, walk: Pick<RetentionPart, 'step'>, share = 1): RetentionPart {
  return { what, maxBatches: MAX_BATCHES * share, step: (limit) => walk.step(Math.ceil(limit / share)) };
}

function walkedThrough(what: string, walk: Pick<RetentionPart, 'step'>, share = 1): RetentionPart {
  return { ...walked(what, walk, share), maxBatches: MAX_WALK_BATCHES * share };
}
