import type { Backplane } from '@tyrum/backplane';
import type { PresenceNote } from '@tyrum/nodes';
import { eventScope, isJsonObject } from '@tyrum/protocol';
import type { ConnectionDirectory } from './connection-directory';
import { EventFrames } from './event-frames';

/** Tells the readers connected here who came and who went, anywhere. Best effort: the list itself is in the directory. */
export class PresenceFanOut {
  private unsubscribe: (() => void) | undefined;

  constructor(
    private readonly backplane: Backplane,
    private readonly directory: ConnectionDirectory,
    private readonly stamps: { readonly newId: () => string; readonly nowMs: () => number },
  ) {}

  start(): void {
    this.unsubscribe = this.backplane.subscribe('presence', (text) => {
      const note = readPresenceNote(text);
      if (note) this.tell(note);
    });
  }

  stop(): void {
    this.unsubscribe?.();
  }

  private tell(note: PresenceNote): void {
    const audience = [...this.directory.audience(note.tenant_id, { kind: 'global' })];
    if (audience.length === 0) return;
    const said =
      'upserted' in note
        ? { type: 'presence.upserted', payload: { entry: note.upserted } }
        : { type: 'presence.pruned', payload: { instance_id: note.pruned } };
    const frames = EventFrames.live({
      event_id: this.stamps.newId(),
      occurred_at: new Date(this.stamps.nowMs()).toISOString(),
      scope: eventScope('global'),
      ...said,
    });
    for (const connection of audience) connection.deliver(frames);
  }
}

/** What a message of the topic `presence` says; undefined for what is malformed: it may come from anybody, or a newer edge. */
export function readPresenceNote(text: string | undefined): PresenceNote | undefined {
  try {
    const note: unknown = JSON.parse(text ?? '');
    if (!isJsonObject(note) || typeof note['tenant_id'] !== 'string') return undefined;
    return isJsonObject(note['upserted']) || typeof note['pruned'] === 'string' ? (note as PresenceNote) : undefined;
  } catch {
    return undefined;
  }
}
