import type { Command } from 'commander';
import { connect, UsageError, type ConnectionOptions } from './config';
import { durationMs } from './duration';
import { table } from './table';
import { planOf, print } from './turn-commands';

type Globals = ConnectionOptions & { readonly json?: boolean };

/** `token …`, `schedule …` and `share …`. */
export function addResourceCommands(program: Command): void {
  const globals = () => program.opts<Globals>();
  const token = program.command('token').description('access tokens');
  const schedule = program.command('schedule').description('schedules of steps');

  token
    .command('create')
    .description('create a token; it is shown this once')
    .requiredOption('--role <role>', 'admin, client or node')
    .option('--scope <scope...>', 'operator.read, operator.write, operator.approvals, operator.pairing, operator.admin')
    .option('--label <label>')
    .option('--expires-in <duration>', 'e.g. 30d')
    .option('--device <id>', 'only this device may use it')
    .action(
      async (options: { role: string; scope?: string[]; label?: string; expiresIn?: string; device?: string }) => {
        const expires =
          options.expiresIn && new Date(Date.now() + durationMs(options.expiresIn, '--expires-in')).toISOString();
        const created = await connect(globals()).createToken({
          role: options.role,
          ...(options.scope ? { scopes: options.scope } : {}),
          ...(options.label === undefined ? {} : { label: options.label }),
          ...(expires ? { expires_at: expires } : {}),
          ...(options.device === undefined ? {} : { device_id: options.device }),
        });
        print(globals(), created, `${created.token}\n`);
      },
    );

  token
    .command('list')
    .description('all tokens, without their secrets')
    .action(async () => {
      const tokens = await connect(globals()).tokens();
      const rows = tokens.map((t) => [t.token_id, t.role, t.scopes.join(' '), t.expires_at ?? '', t.label ?? '']);
      print(globals(), tokens, table(['TOKEN', 'ROLE', 'SCOPES', 'EXPIRES', 'LABEL'], rows));
    });

  token
    .command('revoke <id>')
    .description('revoke a token')
    .action(async (id: string) => {
      await connect(globals()).remove('tokens', id);
      print(globals(), { token_id: id, revoked: true }, 'revoked\n');
    });

  schedule
    .command('create [steps]')
    .description('run steps again and again')
    .option('--every <duration>', 'e.g. 30s')
    .option('--cron <expression>', "e.g. '*/5 * * * *'")
    .option('--timezone <name>', 'for --cron, e.g. Europe/Berlin', 'UTC')
    .option('--cli <command>', 'one command, split into words as a shell would')
    .option('--conversation <key>', 'the conversation its turns belong to (default agent:default:main)')
    .action(
      async (
        file: string | undefined,
        options: { every?: string; cron?: string; timezone: string; cli?: string; conversation?: string },
      ) => {
        if ((options.every === undefined) === (options.cron === undefined))
          throw new UsageError('give either --every or --cron');
        const plan = planOf(file, options.cli);
        const timing = options.cron
          ? { kind: 'cron', cadence: { type: 'cron', expression: options.cron, timezone: options.timezone } }
          : {
              kind: 'heartbeat',
              cadence: { type: 'interval', interval_ms: durationMs(options.every ?? '', '--every') },
            };
        const conversation_key = options.conversation ?? plan.conversationKey ?? 'agent:default:main';
        const created = await connect(globals()).createSchedule({
          ...timing,
          execution: { kind: 'steps', conversation_key, steps: plan.steps },
        });
        print(globals(), created, `${created.schedule_id}\nfires next at ${created.next_fire_at}\n`);
      },
    );

  schedule
    .command('list')
    .description('all schedules')
    .action(async () => {
      const schedules = await connect(globals()).schedules();
      const rows = schedules.map(({ schedule_id, cadence, next_fire_at, execution }) => [
        schedule_id,
        cadence.type === 'cron' ? `${cadence.expression} ${cadence.timezone}` : `every ${cadence.interval_ms} ms`,
        next_fire_at ?? 'disabled',
        execution.conversation_key,
      ]);
      print(globals(), schedules, table(['SCHEDULE', 'CADENCE', 'NEXT', 'CONVERSATION'], rows));
    });

  schedule
    .command('delete <id>')
    .description('delete a schedule; turns it has started go on')
    .action(async (id: string) => {
      await connect(globals()).remove('schedules', id);
      print(globals(), { schedule_id: id, deleted: true }, 'deleted\n');
    });

  addShareCommands(program, globals);
}

/** `share …`: what tenants and agents get of the workers. */
function addShareCommands(program: Command, globals: () => Globals): void {
  const share = program.command('share').description('what tenants and agents get of the workers');
  const line = (s: { tenant_id: string; agent_key: string | null; weight: number; max_running: number | null }) => [
    s.tenant_id,
    s.agent_key ?? '(all)',
    String(s.weight),
    s.max_running === null ? 'none' : String(s.max_running),
  ];
  const columns = ['TENANT', 'AGENT', 'WEIGHT', 'CAP'];

  share
    .command('list')
    .description('the shares that were set; others are weight 1 without a cap')
    .option('--tenant <id>', 'another tenant (for admins of the default one)')
    .action(async ({ tenant }: { tenant?: string }) => {
      const shares = await connect(globals()).claimShares(tenant);
      print(globals(), shares, table(columns, shares.map(line)));
    });

  share
    .command('set')
    .description('set a share; what is left out goes back to its default')
    .option('--tenant <id>', 'another tenant (for admins of the default one)')
    .option('--agent <key>', 'one agent and not the tenant as a whole')
    .option('--weight <n>', 'conversations in each round of claims, 1 to 100')
    .option('--max-running <n>', 'conversations that run at once')
    .action(async (options: { tenant?: string; agent?: string; weight?: string; maxRunning?: string }) => {
      const set = await connect(globals()).setClaimShare({
        ...(options.tenant === undefined ? {} : { tenant_id: options.tenant }),
        ...(options.agent === undefined ? {} : { agent_key: options.agent }),
        ...(options.weight === undefined ? {} : { weight: Number(options.weight) }),
        ...(options.maxRunning === undefined ? {} : { max_running: Number(options.maxRunning) }),
      });
      print(globals(), set, table(columns, [line(set)]));
    });
}
