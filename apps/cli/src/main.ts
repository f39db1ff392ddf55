import { Command } from 'commander';
import { addArtifactCommands } from './artifact-commands';
import { RefusedError, UnreachableError } from './edge-api';
import { UsageError } from './config';
import { addAuditCommands } from './audit-commands';
import { addClusterCommands } from './cluster-commands';
import { addDesktopCommands } from './desktop-commands';
import { addLeaseCommands } from './lease-commands';
import { addGateCommands } from './gate-commands';
import { addResourceCommands } from './resource-commands';
import { addWebhookCommands } from './webhook-commands';
import { addSecretCommands } from './secret-commands';
import { addTenantCommands } from './tenant-commands';
import { addTurnCommands } from './turn-commands';

const EXIT_USAGE = 2;
/** EX_UNAVAILABLE of sysexits.h. */
const EXIT_UNAVAILABLE = 69;

const program = new Command('tyrum')
  .description('Talks to a Tyrum edge.')
  .option('--url <url>', 'the edge (TYRUM_URL; default http://127.0.0.1:8788)')
  .option('--token <token>', 'an access token (TYRUM_TOKEN; default: the one in .tyrum/admin-token)')
  .option('--json', 'print JSON')
  .showHelpAfterError('(see --help)')
  .exitOverride();
addTurnCommands(program);
addResourceCommands(program);
addWebhookCommands(program);
addSecretCommands(program);
addDesktopCommands(program);
addLeaseCommands(program);
addTenantCommands(program);
addGateCommands(program);
addAuditCommands(program);
addClusterCommands(program);
addArtifactCommands(program);

program.parseAsync().catch((error: unknown) => {
  process.exitCode = report(error);
});

/** One calm line for what went wrong, and the exit code for it. */
function report(error: unknown): number {
  const { code, exitCode } = error as { code?: string; exitCode?: number };
  // Commander has printed its own message already.
  if (code?.startsWith('commander.')) return exitCode === 0 ? 0 : EXIT_USAGE;
  process.stderr.write(`tyrum: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof UsageError) return EXIT_USAGE;
  if (error instanceof UnreachableError) return EXIT_UNAVAILABLE;
  if (error instanceof RefusedError) return error.status === 400 || error.status === 422 ? EXIT_USAGE : 1;
  return 1;
}
