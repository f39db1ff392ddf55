import { OPERATOR_SCOPES, TOKEN_ROLES, type OperatorScope, type TokenRole } from './access';
import { ActionList, type Action } from './actions';
import { QUEUE_MODES, QUEUE_OVERFLOWS, type QueueMode, type QueueOverflow } from './conversation';
import type { ErrorCode, Violation, WireErrorBody } from './error-codes';
import type { JsonObject } from './json';
import { LIMITS } from './limits';
import type { Page } from './page';
import {
  ConversationKeyText,
  Flag,
  Instant,
  KeyPart,
  MaxJsonBytes,
  Nested,
  NestedUnion,
  OneOf,
  OpenObject,
  Optional,
  rule,
  SomeOf,
  Text,
  Uuid,
  WholeNumber,
} from './payload-fields';
import { BudgetsPayload } from './requests/workflow-requests';

/** An error over HTTP: `application/problem+json` (RFC 9457). */
export interface ProblemDetails {
  /** `about:blank`: the status says it all, `code` says the rest. */
  type: string;
  title: string;
  status: number;
  detail: string;
  /** The same codes as on the WebSocket. */
  code: ErrorCode;
  /** The fields at fault, in a contract error. */
  errors?: Violation[];
  details?: unknown;
  instance?: string;
}

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/** The HTTP status of each error code. */
export const HTTP_STATUS: Readonly<Record<ErrorCode, number>> = Object.freeze({
  contract_error: 400,
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  rate_limited: 429,
  overloaded: 503,
  internal: 500,
});

const TITLES: Readonly<Record<ErrorCode, string>> = {
  contract_error: 'The request does not match its contract',
  invalid_request: 'The request is not possible',
  unauthorized: 'A valid token is needed',
  forbidden: 'The token does not allow this',
  not_found: 'Not found',
  conflict: 'The request conflicts with another',
  rate_limited: 'Too many requests',
  overloaded: 'Overloaded, try again later',
  internal: 'Internal error',
};

/** The problem for an error. `status` overrides the code's own: 422 for an idempotency key with another payload. */
export function problemOf(error: WireErrorBody, options: { status?: number; instance?: string } = {}): ProblemDetails {
  return {
    type: 'about:blank',
    title: TITLES[error.code],
    status: options.status ?? HTTP_STATUS[error.code],
    detail: error.message,
    code: error.code,
    ...(error.details === undefined ? {} : { details: error.details }),
    ...(options.instance === undefined ? {} : { instance: options.instance }),
  };
}

/** `POST /v1/turns/:id/cancel`; an empty body is fine. */
export class TurnCancelBody {
  @Optional()
  @Text(LIMITS.reasonLength, 0)
  reason?: string;
}

export const RESOLVE_DECISIONS = ['retry', 'done', 'fail'] as const;
export type ResolveDecision = (typeof RESOLVE_DECISIONS)[number];

/** `PUT /v1/conversations/:key/queue`: what happens with inputs that come while a turn runs. */
export class ConversationQueueBody {
  @OneOf(QUEUE_MODES)
  mode: QueueMode;

  /** Turns that may wait; the limit for all conversations when absent. */
  @Optional()
  @WholeNumber(1, LIMITS.turnsQueuedPerConversation)
  cap?: number;

  @Optional()
  @OneOf(QUEUE_OVERFLOWS)
  overflow?: QueueOverflow;
}

export const REDRIVE_DECISIONS = ['retry', 'done'] as const;

/** `POST /v1/turns/:id/redrive`: brings a dead turn back. */
export class TurnRedriveBody {
  /** Needed when its last step may have had its effect: `retry` runs it again, `done` goes on after it. */
  @Optional()
  @OneOf(REDRIVE_DECISIONS)
  decision?: (typeof REDRIVE_DECISIONS)[number];
}

/** `POST /v1/turns/:id/resolve`: an operator decides about a step whose outcome is unknown. */
export class TurnResolveBody {
  /** `retry` runs the step again, `done` takes it for done with `result`, `fail` fails it. */
  @OneOf(RESOLVE_DECISIONS)
  decision: ResolveDecision;

  /** The step meant; the one the turn waits on when absent. */
  @Optional()
  @WholeNumber(0, LIMITS.maxStepsPerTurn)
  step_index?: number;

  @Optional()
  @Text(LIMITS.reasonLength, 0)
  reason?: string;

  @Optional()
  @OpenObject()
  result?: JsonObject;
}

/** `POST /v1/turns/:id/signals`: something the turn waits for has happened. */
export class TurnSignalBody {
  @Text(LIMITS.signalNameLength)
  name: string;

  /** What the step that waits has as its result. */
  @Optional()
  @OpenObject()
  @MaxJsonBytes(LIMITS.signalBytes)
  result?: JsonObject;
}

export interface TurnSignalled {
  turn_id: string;
  name: string;
  /** `ready`: the turn goes on with it. `kept`: until the turn waits for it. `already`: one of that name came before. */
  outcome: 'ready' | 'kept' | 'already';
}

/** `PUT /v1/claim-shares`: what a tenant, or one of its agents, gets of the workers. What is left out goes back to its default. */
export class ClaimShareBody {
  /** The caller's own when absent. */
  @Optional()
  @Uuid()
  tenant_id?: string;

  /** The tenant as a whole when absent. */
  @Optional()
  @KeyPart()
  agent_key?: string;

  /** Conversations in each round of claims; of a tenant only. */
  @Optional()
  @WholeNumber(1, LIMITS.claimWeightMax)
  weight?: number;

  /** Conversations that run at once; without it there is no cap. */
  @Optional()
  @WholeNumber(1, LIMITS.claimRunningMax)
  max_running?: number;
}

/** `GET /v1/claim-shares`. */
export class ClaimShareQuery {
  @Optional()
  @Uuid()
  tenant_id?: string;
}

export interface ClaimShareList {
  shares: ClaimShareView[];
}

export interface ClaimShareView {
  tenant_id: string;
  /** Null: the tenant as a whole. */
  agent_key: string | null;
  weight: number;
  max_running: number | null;
}

export class IntervalCadence {
  @OneOf(['interval'])
  type: 'interval';

  @WholeNumber(LIMITS.intervalMinMs, LIMITS.intervalMaxMs)
  interval_ms: number;
}

export class CronCadence {
  @OneOf(['cron'])
  type: 'cron';

  @Text(LIMITS.cronExpressionLength)
  expression: string;

  /** An IANA name: `Europe/Berlin`. */
  @rule('isTimeZone', 'must be an IANA time zone', isTimeZone, { type: 'string', maxLength: LIMITS.labelLength })
  timezone: string;
}

export type Cadence = IntervalCadence | CronCadence;

/** What a firing runs: a workflow in that conversation. */
export class StepsExecution {
  @OneOf(['steps'])
  kind: 'steps';

  @ConversationKeyText()
  conversation_key: string;

  @ActionList()
  steps: Action[];

  @Nested(() => BudgetsPayload, { optional: true })
  budgets?: BudgetsPayload;
}

export const SCHEDULE_KINDS = ['heartbeat', 'cron'] as const;
export type ScheduleKind = (typeof SCHEDULE_KINDS)[number];

/** `POST /v1/schedules`. The executions `agent_turn` and `playbook` are refused. */
export class ScheduleCreateBody {
  @OneOf(SCHEDULE_KINDS)
  kind: ScheduleKind;

  @NestedUnion('type', { interval: IntervalCadence, cron: CronCadence })
  cadence: Cadence;

  @NestedUnion('kind', { steps: StepsExecution })
  execution: StepsExecution;

  @Optional()
  @OpenObject()
  delivery?: JsonObject;

  @Flag()
  enabled: boolean = true;
}

export interface Schedule {
  schedule_id: string;
  kind: ScheduleKind;
  cadence: Cadence;
  execution: StepsExecution;
  delivery: JsonObject | null;
  enabled: boolean;
  /** Null while disabled. */
  next_fire_at: string | null;
  last_fired_at: string | null;
  created_at: string;
  updated_at: string;
}

/** `POST /v1/tokens`. */
export class TokenCreateBody {
  @OneOf(TOKEN_ROLES)
  role: TokenRole;

  @Optional()
  @SomeOf(OPERATOR_SCOPES)
  scopes?: OperatorScope[];

  @Optional()
  @Text(LIMITS.labelLength)
  label?: string;

  @Optional()
  @Instant()
  expires_at?: string;

  /** Only that device may use the token. */
  @Optional()
  @Text(LIMITS.idLength)
  device_id?: string;
}

/** The answer of `POST /v1/tokens`: the only time the token itself is shown. */
export interface TokenCreated {
  token_id: string;
  token: string;
  role: TokenRole;
  scopes: OperatorScope[];
  label?: string;
  expires_at: string | null;
  device_id?: string;
  created_at: string;
}

/** `GET /oidc`. */
export interface OidcOffer {
  available: boolean;
}

/** `GET /oidc/login`. */
export class OidcLoginQuery {
  @Optional()
  @Text(LIMITS.returnToLength)
  return_to?: string;
}

/** What `/v1/session` answers: who the caller is. */
export interface Session {
  tenant_id: string;
  token_id: string;
  role: TokenRole;
  scopes: OperatorScope[];
  /** To be repeated in the header `X-CSRF-Token` of whatever changes something, where the cookie carries the token. */
  csrf_token: string;
}

/** A token as lists show it: without the secret. */
export interface TokenView {
  token_id: string;
  role: TokenRole;
  scopes: OperatorScope[];
  label?: string;
  device_id?: string;
  /** `<issuer> <subject>` of who logged in for it; absent for a token that was issued. */
  subject?: string;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
}

export interface TokenList extends Page {
  tokens: TokenView[];
}

export interface ScheduleList {
  schedules: Schedule[];
}

/** `cancelled` is false when the turn had ended before. */
export interface TurnCancelled {
  turn_id: string;
  cancelled: boolean;
}

/** `turn_id` is the new turn. */
export interface TurnRedriven {
  turn_id: string;
  redrive_of: string;
}

export interface TurnResolved {
  turn_id: string;
  decision: string;
}

/** What `/readyz` answers, with 200 or 503. */
export interface Readiness {
  status: 'ready' | 'not_ready';
  checks: { name: string; ok: boolean; error?: string; degraded?: string; latency_ms: number }[];
}

function isTimeZone(value: unknown): boolean {
  if (typeof value !== 'string' || value.length > LIMITS.labelLength || !/^[A-Za-z]/.test(value)) return false;
  // Intl is the one to ask: the runtime computes local times with the same table.
  try {
    return new Intl.DateTimeFormat('en', { timeZone: value }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
