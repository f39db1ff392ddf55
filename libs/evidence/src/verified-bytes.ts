import { createHash } from 'node:crypto';
import { Transform, type Readable } from 'node:stream';
import { BlobCorruptError } from './blob-store';

/**
 * A whole blob's bytes, the last piece of which comes only after all of them were found to have that hash. Checking behind the
 * last piece would be too late: a reader that was told the length takes the blob for whole by then.
 * Destroying the result destroys `source`.
 */
export function verified(source: Readable, sha256: string): Readable {
  const hash = createHash('sha256');
  let held: Buffer | undefined;
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      const ready = held;
      held = chunk;
      done(null, ready);
    },
    flush(done) {
      if (hash.digest('hex') !== sha256) return done(new BlobCorruptError(sha256));
      done(null, held);
    },
  });
  source.on('error', (error) => check.destroy(error));
  check.on('close', () => source.destroy());
  return source.pipe(check);
}
