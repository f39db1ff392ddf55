import type { Command } from 'commander';
import { connect, UsageError, type ConnectionOptions } from './config';
import { table } from './table';
import { print } from './turn-commands';

type Globals = ConnectionOptions & { readonly json?: boolean };

/** `approvals`, `approve`, `deny`, and `pairings`, `pair`, `unpair`. */
export function addGateCommands(program: Command): void {
  const globals = () => program.opts<Globals>();

  program
    .command('approvals')
    .description('what waits for your approval')
    .option('--all', 'those that are settled, too')
    .action(async ({ all }: { all?: boolean }) => {
      const approvals = await connect(globals()).approvals(all ? {} : { status: 'awaiting_human' });
      const rows = approvals.map((a) => [
        a.approval_id,
        a.status,
        a.scope?.turn_id ?? '',
        a.expires_at ?? '',
        a.prompt,
      ]);
      print(globals(), approvals, table(['APPROVAL', 'STATUS', 'TURN', 'EXPIRES', 'PROMPT'], rows));
    });

  program
    .command('approve <approval>')
    .description('let it happen, once')
    .option('--always', 'and from now on whenever it is exactly the same')
    .option('--pattern <pattern>', 'with --always: whatever matches, e.g. "git *"')
    .option('--tool <tool>', 'with --pattern: the tool it stands for, e.g. CLI or Http.GET')
    .option('--reason <reason>')
    .action(async (id: string, options: { always?: boolean; pattern?: string; tool?: string; reason?: string }) => {
      const { always, pattern, tool, reason } = options;
      if (pattern !== undefined && (!always || tool === undefined))
        throw new UsageError('--pattern goes with --always and --tool');
      const resolved = await connect(globals()).resolveApproval(id, {
        decision: 'approved',
        ...(always ? { mode: 'always' } : {}),
        ...(pattern === undefined ? {} : { overrides: [{ tool_id: tool, pattern }] }),
        ...(reason === undefined ? {} : { reason }),
      });
      print(globals(), resolved, 'approved\n');
    });

  program
    .command('deny <approval>')
    .description('do not let it happen: its step fails')
    .option('--reason <reason>')
    .action(async (id: string, { reason }: { reason?: string }) => {
      const body = { decision: 'denied', ...(reason === undefined ? {} : { reason }) };
      print(globals(), await connect(globals()).resolveApproval(id, body), 'denied\n');
    });

  program
    .command('pairings')
    .description('the devices that are nodes or ask to be')
    .action(async () => {
      const pairings = await connect(globals()).pairings();
      const rows = pairings.map(({ pairing_id, status, node }) => [
        String(pairing_id),
        status,
        node.label ?? '',
        node.node_id,
        node.capabilities.map(({ id, version }) => `${id}@${version}`).join(' '),
      ]);
      print(globals(), pairings, table(['PAIRING', 'STATUS', 'LABEL', 'NODE', 'CAPABILITIES'], rows));
    });

  program
    .command('pair <pairing>')
    .description('trust a device with the capabilities it offers')
    .option('--only <capability...>', 'with these alone')
    .option('--remote', 'it is not on this machine or network')
    .action(async (id: string, { only, remote }: { only?: string[]; remote?: boolean }) => {
      const api = connect(globals());
      const found = (await api.pairings()).find(({ pairing_id }) => String(pairing_id) === id);
      if (!found) throw new UsageError(`there is no pairing ${id}`);
      const capability_allowlist = found.node.capabilities.filter((one) => only?.includes(one.id) ?? true);
      const decided = await api.decidePairing(id, 'approve', {
        trust_level: remote ? 'remote' : 'local',
        capability_allowlist,
      });
      print(globals(), decided, `approved with ${capability_allowlist.map((one) => one.id).join(', ') || 'nothing'}\n`);
    });

  program
    .command('unpair <pairing>')
    .description('trust a device no more; it is disconnected')
    .option('--reason <reason>')
    .action(async (id: string, { reason }: { reason?: string }) => {
      const api = connect(globals());
      const found = (await api.pairings()).find(({ pairing_id }) => String(pairing_id) === id);
      const verb = found?.status === 'approved' ? 'revoke' : 'deny';
      const decided = await api.decidePairing(id, verb, reason === undefined ? {} : { reason });
      print(globals(), decided, verb === 'revoke' ? 'revoked\n' : 'denied\n');
    });
}
