import {
  APPROVAL_DECISIONS,
  APPROVAL_STATUSES,
  type Approval,
  type ApprovalDecision,
  type ApprovalStatus,
  type PolicyOverride,
} from '../approval';
import type { EventEnvelope } from '../envelope';
import type { JsonValue } from '../json';
import { LIMITS } from '../limits';
import { TRUST_LEVELS, type Pairing, type TrustLevel } from '../pairing';
import {
  AnyJson,
  ConversationKeyText,
  MaxJsonBytes,
  NestedList,
  OneOf,
  Optional,
  Text,
  TextList,
  Uuid,
  WholeNumber,
} from '../payload-fields';
import { PRESENCE_MODES, type PresenceEntry, type PresenceMode } from '../presence';
import { CapabilityPayload } from './connect-requests';

export class ApprovalListPayload {
  @Optional()
  @OneOf(APPROVAL_STATUSES)
  status?: ApprovalStatus;

  @Optional()
  @TextList(LIMITS.filterValues, LIMITS.labelLength)
  kind?: string[];

  @Optional()
  @ConversationKeyText()
  conversation_key?: string;

  @Optional()
  @Uuid()
  turn_id?: string;

  @WholeNumber(1, LIMITS.approvalListMax)
  limit: number = LIMITS.approvalListDefault;

  @Optional()
  @Text(LIMITS.cursorLength)
  cursor?: string;
}

export interface ApprovalListResult {
  approvals: Approval[];
  next_cursor?: string;
}

export class OverridePayload {
  @Text(LIMITS.idLength)
  tool_id: string;

  @Text(LIMITS.pathLength)
  pattern: string;

  @Optional()
  @Text(LIMITS.idLength)
  workspace_id?: string;
}

export const RESOLVE_MODES = ['once', 'always'] as const;
export type ResolveMode = (typeof RESOLVE_MODES)[number];

/** `POST /v1/approvals/:id/resolve`. */
export class ApprovalResolveBody {
  @OneOf(APPROVAL_DECISIONS)
  decision: ApprovalDecision;

  @Optional()
  @Text(LIMITS.reasonLength, 0)
  reason?: string;

  @Optional()
  @OneOf(RESOLVE_MODES)
  mode?: ResolveMode;

  @NestedList(() => OverridePayload, { max: LIMITS.overridesPerDecision, optional: true })
  overrides?: OverridePayload[];
}

export class ApprovalResolvePayload extends ApprovalResolveBody {
  @Uuid()
  approval_id: string;
}

export interface ApprovalResolveResult {
  approval: Approval;
  created_overrides?: PolicyOverride[];
}

/** `POST /v1/pairings/:pairing/deny` and `revoke`. */
export class PairingReasonBody {
  @Optional()
  @Text(LIMITS.reasonLength, 0)
  reason?: string;
}

/** `pairing.deny`, `pairing.revoke`. */
export class PairingRefPayload extends PairingReasonBody {
  @WholeNumber(1)
  pairing_id: number;
}

/** `POST /v1/pairings/:pairing/approve`. */
export class PairingApproveBody extends PairingReasonBody {
  @OneOf(TRUST_LEVELS)
  trust_level: TrustLevel;

  @NestedList(() => CapabilityPayload, { max: LIMITS.capabilities })
  capability_allowlist: CapabilityPayload[];
}

export class PairingApprovePayload extends PairingApproveBody {
  @WholeNumber(1)
  pairing_id: number;
}

export interface PairingResult {
  pairing: Pairing;
}

export class PresenceBeaconPayload {
  @Optional()
  @Text(LIMITS.labelLength, 0)
  host?: string;

  @Optional()
  @Text(LIMITS.labelLength, 0)
  ip?: string;

  @Optional()
  @Text(LIMITS.labelLength, 0)
  version?: string;

  @Optional()
  @OneOf(PRESENCE_MODES)
  mode?: PresenceMode;

  @Optional()
  @WholeNumber()
  last_input_seconds?: number;

  @Optional()
  @AnyJson()
  @MaxJsonBytes(LIMITS.presenceMetadataBytes)
  metadata?: JsonValue;
}

export interface PresenceBeaconResult {
  entry: PresenceEntry;
}

export class EventsReplayPayload {
  @Text(LIMITS.cursorLength)
  cursor: string;

  @WholeNumber(1, LIMITS.eventsReplayMax)
  limit: number = LIMITS.eventsReplayDefault;
}

export interface EventsReplayResult {
  events: EventEnvelope[];
  cursor: string;
  /** Events between the given cursor and the first one here are gone: the client reloads what it shows. */
  gap: boolean;
}
