import { createReadStream } from 'node:fs';
import type { ArtifactStore, Bytes, NewArtifact } from '@tyrum/evidence';
import type { JsonValue } from '@tyrum/protocol';
import { StoreUnavailableError } from '@tyrum/statestore';

/** A part of a step's result: what became of the output that is too long for it. */
export type KeptOutput =
  { readonly artifacts: JsonValue[] } | { readonly artifacts?: undefined; readonly artifact_error: string };

/** How long it is waited for a database that is away, in ms, before the output goes without an artifact. */
const PAUSES_MS = [200, 500, 1_000, 2_000];

/**
 * Keeps output as an artifact. Never rejects: the step has had its effect by now, and neither a full disk nor a database that
 * is away for a moment makes that undone. What could not be kept is said so in the result.
 * @param bytes called for each try
 */
export async function keepOutput(
  artifacts: ArtifactStore,
  about: NewArtifact,
  bytes: () => Bytes,
): Promise<KeptOutput> {
  for (let tries = 0; ; tries += 1) {
    try {
      return { artifacts: [(await artifacts.create(about, bytes())) as unknown as JsonValue] };
    } catch (error) {
      const pauseMs = error instanceof StoreUnavailableError ? PAUSES_MS[tries] : undefined;
      if (pauseMs === undefined) return { artifact_error: String((error as { code?: unknown }).code ?? 'internal') };
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

/** A file's bytes, which is opened when the first of them is read. */
export async function* fileBytes(path: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path) as AsyncIterable<Buffer>;
}
