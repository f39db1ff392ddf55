import type { WebhookCreated } from '@tyrum/protocol';
import type { Command } from 'commander';
import { connect, type ConnectionOptions } from './config';
import { table } from './table';
import { planOf, print } from './turn-commands';

type Globals = ConnectionOptions & { readonly json?: boolean };

/** `webhook …`: steps that a signed call from outside runs. */
export function addWebhookCommands(program: Command): void {
  const globals = () => program.opts<Globals>();
  const webhook = program.command('webhook').description('steps that a signed call from outside runs');
  const shown = (created: WebhookCreated): void =>
    print(
      globals(),
      created,
      `${created.webhook.trigger_id}\npath    ${created.webhook.path}\nsecret  ${created.secret}\n`,
    );

  webhook
    .command('create [steps]')
    .description('make one; its secret is shown this once. Steps may refer to the call, e.g. $trigger.body/ref')
    .requiredOption('--label <label>', 'what it is for')
    .option('--cli <command>', 'one command, split into words as a shell would')
    .option('--conversation <key>', 'the conversation its turns belong to (default agent:default:main)')
    .option('--disabled', 'refuse calls until it is made anew')
    .action(
      async (
        file: string | undefined,
        options: { label: string; cli?: string; conversation?: string; disabled?: boolean },
      ) => {
        const plan = planOf(file, options.cli);
        const conversation_key = options.conversation ?? plan.conversationKey ?? 'agent:default:main';
        const created = await connect(globals()).createWebhook({
          label: options.label,
          execution: { kind: 'steps', conversation_key, steps: plan.steps },
          ...(options.disabled ? { enabled: false } : {}),
        });
        shown(created);
      },
    );

  webhook
    .command('list')
    .description('all webhooks, without their secrets')
    .action(async () => {
      const webhooks = await connect(globals()).webhooks();
      const rows = webhooks.map(({ trigger_id, label, enabled, execution, path }) => [
        trigger_id,
        label,
        enabled ? 'yes' : 'no',
        execution.conversation_key,
        path,
      ]);
      print(globals(), webhooks, table(['WEBHOOK', 'LABEL', 'ENABLED', 'CONVERSATION', 'PATH'], rows));
    });

  webhook
    .command('rotate <id>')
    .description('give it another secret, shown this once; the old one signs nothing any more')
    .action(async (id: string) => shown(await connect(globals()).rotateWebhook(id)));

  webhook
    .command('delete <id>')
    .description('delete a webhook; turns it has started go on')
    .action(async (id: string) => {
      await connect(globals()).remove('webhooks', id);
      print(globals(), { trigger_id: id, deleted: true }, 'deleted\n');
    });
}
