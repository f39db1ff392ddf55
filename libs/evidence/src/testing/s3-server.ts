import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { S3Place } from '../s3-objects';

const BUCKET = 'evidence';

/** A server that speaks S3, with one bucket, on files; a process of its own. */
export class S3Server {
  private constructor(
    private readonly server: ChildProcess,
    /** Where its objects lie. */
    readonly folder: string,
    readonly place: S3Place & { readonly endpoint: string },
  ) {}

  static async start(): Promise<S3Server> {
    const directory = mkdtempSync(join(tmpdir(), 'tyrum-s3-'));
    // The tokens of its lists are DES, which OpenSSL 3 calls legacy.
    const program = ['--openssl-legacy-provider', require.resolve('s3rver/bin/s3rver.js')];
    const options = ['--address', '127.0.0.1', '--port', '0', '--directory', directory, '--configure-bucket', BUCKET];
    const server = spawn(process.execPath, [...program, ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    while (!/listening on .*:(\d+)/i.test(said)) {
      const [text] = (await Promise.race([once(server.stdout, 'data'), once(server, 'exit')])) as [unknown];
      if (server.exitCode !== null) throw new Error(`s3rver ended with ${server.exitCode}: ${said}`);
      said += String(text);
    }
    server.stdout.resume();
    const port = Number(/listening on .*:(\d+)/i.exec(said)?.[1]);
    // The only key it knows.
    const credentials = { accessKeyId: 'S3RVER', secretAccessKey: { reveal: () => 'S3RVER' } };
    const place = { bucket: BUCKET, region: 'us-east-1', endpoint: `http://127.0.0.1:${port}`, credentials };
    return new S3Server(server, join(directory, BUCKET), place);
  }

  async stop(): Promise<void> {
    const gone = once(this.server, 'exit');
    this.server.kill('SIGKILL');
    await gone;
    rmSync(join(this.folder, '..'), { recursive: true, force: true });
  }
}
