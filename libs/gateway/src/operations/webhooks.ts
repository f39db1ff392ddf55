import { noteAudit, type AuditNote } from '@tyrum/evidence';
import type { TurnIntake } from '@tyrum/execution';
import {
  checkTriggerReferences,
  requireExecutable,
  resolveTriggerReferences,
  payloadFingerprint,
  validatePayload,
  WEBHOOK_WINDOW_MS,
  StepsExecution,
  WireError,
  type Action,
  type TriggerFacts,
  type WebhookCreateBody,
  type WebhookCreated,
  type WebhookFired,
  type WebhookView,
} from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import { Tenants, WebhookTriggers, type TenantRecord, type WebhookTriggerRecord } from '@tyrum/statestore/records';
import { notFound } from '../failures';
import type { GatewayMetrics } from '../gateway-metrics';
import { accept } from './accept';
import type { Answered, Once, RequestKey } from './once';
import { isSignedWith, type SignedCall, type WebhookSecrets } from './webhook-secrets';

/** Webhooks of one tenant at the most: a list of them is not paged. */
const MAX_WEBHOOKS_PER_TENANT = 1_000;

export interface WebhookPorts {
  readonly store: StateStore;
  readonly intake: TurnIntake;
  readonly once: Once;
  readonly metrics: GatewayMetrics;
  /** Absent: webhooks are not set up here. */
  readonly secrets: WebhookSecrets | undefined;
}

export interface WebhookStamps {
  readonly newId: () => string;
  readonly nowMs: () => number;
}

/** A call is refused. `tenantId` is whose trigger it was, where there is one. */
export class CallRefusedError extends WireError {
  constructor(
    readonly reason: 'unknown_trigger' | 'timestamp' | 'signature',
    readonly tenantId?: string,
  ) {
    // The same for all three: a stranger learns neither which triggers there are nor what was wrong.
    super('unauthorized', 'the call is not signed as it must be');
  }
}

/** Keeps the triggers that webhooks fire, and fires them. */
export class Webhooks {
  constructor(
    private readonly ports: WebhookPorts,
    private readonly stamps: WebhookStamps,
  ) {}

  /** @throws {ContractError} @throws {KeyReusedError} @throws {WireError} conflict; not_found where webhooks are not set up */
  async create(key: RequestKey, body: WebhookCreateBody): Promise<Answered<WebhookCreated>> {
    const secrets = this.secrets();
    requireExecutable(body.execution.steps, 'body.execution.steps');
    checkTriggerReferences(body.execution.steps, 'body.execution.steps');
    const done = await this.ports.once.run(key, async (tx) => {
      const records = tx.records(WebhookTriggers);
      if ((await records.countBy({ tenant_id: key.tenantId })) >= MAX_WEBHOOKS_PER_TENANT) {
        throw new WireError('conflict', `there are ${MAX_WEBHOOKS_PER_TENANT} webhooks: remove one first`);
      }
      const now = this.stamps.nowMs();
      const record: WebhookTriggerRecord = {
        tenant_id: key.tenantId,
        trigger_id: this.stamps.newId(),
        label: body.label,
        generation: 1,
        execution: { ...body.execution },
        enabled: body.enabled,
        created_at: now,
        updated_at: now,
      };
      await records.insert(record as Parameters<typeof records.insert>[0]);
      await noteAudit(tx, [about('webhook.created', key, record.trigger_id)]);
      return viewOf(record);
    });
    const { trigger_id: triggerId } = done.answer;
    const secret = secrets.secretOf({ tenantId: key.tenantId, triggerId, generation: 1 });
    return { answer: { webhook: done.answer, secret }, replayed: done.replayed };
  }

  /** Oldest first. */
  async list(tenantId: string): Promise<WebhookView[]> {
    const where = { tenant_id: tenantId };
    const order = { created_at: 'ASC', trigger_id: 'ASC' } as const;
    const take = MAX_WEBHOOKS_PER_TENANT;
    const found = await this.ports.store.read((db) => db.records(WebhookTriggers).find({ where, order, take }));
    return found.map(viewOf);
  }

  /** False = the tenant has none of that id. */
  remove(tenantId: string, triggerId: string, actor: string): Promise<boolean> {
    return this.ports.store.transaction(async (tx) => {
      const where = { tenant_id: tenantId, trigger_id: triggerId };
      if (!(await tx.records(WebhookTriggers).existsBy(where))) return false;
      await tx.records(WebhookTriggers).delete(where);
      await noteAudit(tx, [about('webhook.deleted', { tenantId, actor }, triggerId)]);
      return true;
    });
  }

  /** Renews the secret; the old one signs nothing any more. @throws {KeyReusedError} @throws {WireError} not_found */
  async renew(key: RequestKey, triggerId: string): Promise<Answered<WebhookCreated>> {
    const secrets = this.secrets();
    const { tenantId } = key;
    const done = await this.ports.once.run(key, async (tx) => {
      const where = { tenant_id: tenantId, trigger_id: triggerId };
      const records = tx.records(WebhookTriggers);
      const found = await records.findOneBy(where);
      if (!found) throw notFound('webhook');
      const generation = found.generation + 1;
      await records.update(where, { generation, updated_at: this.stamps.nowMs() });
      await noteAudit(tx, [about('webhook.renewed', key, triggerId)]);
      return { webhook: viewOf(found), generation };
    });
    const { webhook, generation } = done.answer;
    return {
      answer: { webhook, secret: secrets.secretOf({ tenantId, triggerId, generation }) },
      replayed: done.replayed,
    };
  }

  /**
   * Fires a trigger, once for each nonce: a copy is answered alike and runs nothing. What the steps refer to of the call is put into
   * them here, so that the turn holds all it needs.
   * @param admit is told whose call it is, and throws where that tenant has none left
   * @returns with the trigger's tenant
   * @throws {CallRefusedError} @throws {KeyReusedError} the nonce came with another body @throws {ContractError} the call lacks what a
   * step refers to @throws {OverloadedError} …
   */
  async fire(
    triggerId: string,
    call: SignedCall & { readonly signature: string; readonly headers: TriggerFacts['headers'] },
    admit: (tenant: TenantRecord) => void,
  ): Promise<Answered<WebhookFired>> {
    const { trigger, tenant } = await this.findLive(triggerId);
    if (!trigger || !tenant || !this.ports.secrets) throw new CallRefusedError('unknown_trigger');
    const { tenant_id: tenantId, generation } = trigger;
    const secret = this.ports.secrets.secretOf({ tenantId, triggerId, generation });
    if (!isSignedWith(secret, call, call.signature)) throw new CallRefusedError('signature', tenantId);
    const age = Math.abs(this.stamps.nowMs() - Number(call.timestamp) * 1_000);
    if (!(age <= WEBHOOK_WINDOW_MS)) throw new CallRefusedError('timestamp', tenantId);
    admit(tenant);
    const execution = validatePayload(StepsExecution, trigger.execution, 'execution');
    const turnId = this.stamps.newId();
    const steps = stepsFor(execution, { body: call.body.toString('utf8'), headers: call.headers });
    return accept<WebhookFired>(this.ports, {
      tenantId,
      conversationKey: execution.conversation_key,
      turnId,
      kind: 'workflow',
      triggerKind: 'webhook',
      input: { steps, webhook: { trigger_id: triggerId, body: call.body.toString('utf8') } },
      ...(execution.budgets ? { budgets: execution.budgets } : {}),
      // The nonce names the firing for longer than its timestamp could be accepted.
      idempotency: {
        tenantId,
        route: 'webhook',
        principal: triggerId,
        key: call.nonce,
        fingerprint: payloadFingerprint(call.body.toString('base64')),
      },
      answer: { turn_id: turnId },
    });
  }

  private findLive(triggerId: string): Promise<{ trigger?: WebhookTriggerRecord; tenant?: TenantRecord }> {
    return this.ports.store.read(async (db) => {
      const trigger = await db.records(WebhookTriggers).findOneBy({ trigger_id: triggerId });
      if (!trigger?.enabled) return {};
      const tenant = await db.records(Tenants).findOneBy({ tenant_id: trigger.tenant_id });
      return tenant?.disabled_at === null ? { trigger, tenant } : {};
    });
  }

  private secrets(): WebhookSecrets {
    if (!this.ports.secrets)
      throw new WireError('not_found', 'webhooks are not set up here: TYRUM_WEBHOOK_KEY is unset');
    return this.ports.secrets;
  }
}

/** @throws {ContractError} what a step refers to is not there, or does not fit where it goes */
function stepsFor(execution: StepsExecution, facts: TriggerFacts): Action[] {
  const steps = resolveTriggerReferences(execution.steps, facts, 'steps');
  return validatePayload(StepsExecution, { ...execution, steps }, 'execution').steps;
}

function about(
  type: AuditNote['type'],
  { tenantId, actor }: Pick<AuditNote, 'tenantId' | 'actor'>,
  triggerId: string,
): AuditNote {
  return { tenantId, type, actor, subject: `webhook:${triggerId}` };
}

function viewOf({ trigger_id, label, execution, enabled, created_at }: WebhookTriggerRecord): WebhookView {
  return {
    trigger_id,
    label,
    execution: execution as unknown as StepsExecution,
    enabled: Boolean(enabled),
    path: `/webhooks/${trigger_id}`,
    created_at: new Date(created_at).toISOString(),
  };
}
