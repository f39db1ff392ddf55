import { PEER_ROLES, type OperatorScope, type PeerRole } from '../access';
import { ContractError } from '../error-codes';
import { validatePayload, type PayloadClass } from '../validate';
import {
  ConnectInitPayload,
  ConnectProofPayload,
  PingPayload,
  type ConnectInitResult,
  type ConnectProofResult,
} from './connect-requests';
import {
  ConversationCreatePayload,
  ConversationListPayload,
  ConversationRefPayload,
  ConversationSendPayload,
  type ConversationDeleteResult,
  type ConversationListResult,
  type ConversationResult,
  type StreamResult,
} from './conversation-requests';
import { AttemptEvidencePayload, CapabilityReadyPayload } from './node-requests';
import {
  ApprovalListPayload,
  ApprovalResolvePayload,
  EventsReplayPayload,
  PairingApprovePayload,
  PairingRefPayload,
  PresenceBeaconPayload,
  type ApprovalListResult,
  type ApprovalResolveResult,
  type EventsReplayResult,
  type PairingResult,
  type PresenceBeaconResult,
} from './operator-requests';
import {
  TurnListPayload,
  WorkflowCancelPayload,
  WorkflowResumePayload,
  WorkflowStartPayload,
  type TurnListResult,
  type WorkflowCancelResult,
  type WorkflowResumeResult,
  type WorkflowStartResult,
} from './workflow-requests';

/** Who may send a request type and what its payload is. */
export interface RequestSpec<T extends object = object> {
  readonly payload: PayloadClass<T>;
  /** What the sender's token has to carry; null for what every connected peer of the role may send. */
  readonly scope: OperatorScope | null;
  readonly roles: readonly PeerRole[];
}

function request<T extends object>(
  payload: PayloadClass<T>,
  scope: OperatorScope | null,
  roles: readonly PeerRole[] = ['client'],
): RequestSpec<T> {
  return Object.freeze({ payload, scope, roles });
}

/** Every request a client or a node may send. */
export const REQUESTS = Object.freeze({
  'connect.init': request(ConnectInitPayload, null, PEER_ROLES),
  'connect.proof': request(ConnectProofPayload, null, PEER_ROLES),
  ping: request(PingPayload, null, PEER_ROLES),
  'conversation.create': request(ConversationCreatePayload, 'operator.write'),
  'conversation.list': request(ConversationListPayload, 'operator.read'),
  'conversation.get': request(ConversationRefPayload, 'operator.read'),
  'conversation.send': request(ConversationSendPayload, 'operator.write'),
  'conversation.reconnect': request(ConversationRefPayload, 'operator.read'),
  'conversation.delete': request(ConversationRefPayload, 'operator.write'),
  'turn.list': request(TurnListPayload, 'operator.read'),
  'workflow.start': request(WorkflowStartPayload, 'operator.write'),
  'workflow.resume': request(WorkflowResumePayload, 'operator.write'),
  'workflow.cancel': request(WorkflowCancelPayload, 'operator.write'),
  'approval.list': request(ApprovalListPayload, 'operator.approvals'),
  'approval.resolve': request(ApprovalResolvePayload, 'operator.approvals'),
  'pairing.approve': request(PairingApprovePayload, 'operator.pairing'),
  'pairing.deny': request(PairingRefPayload, 'operator.pairing'),
  'pairing.revoke': request(PairingRefPayload, 'operator.pairing'),
  'presence.beacon': request(PresenceBeaconPayload, null, PEER_ROLES),
  'events.replay': request(EventsReplayPayload, 'operator.read'),
  'capability.ready': request(CapabilityReadyPayload, null, ['node']),
  'attempt.evidence': request(AttemptEvidencePayload, null, ['node']),
});
export type RequestType = keyof typeof REQUESTS;

/** The typed payload of a request type. */
export type RequestPayload<T extends RequestType> = InstanceType<(typeof REQUESTS)[T]['payload']>;

/** What each request type is answered with; `undefined` = a response without `result`. */
export interface RequestResults {
  'connect.init': ConnectInitResult;
  'connect.proof': ConnectProofResult;
  ping: undefined;
  'conversation.create': ConversationResult;
  'conversation.list': ConversationListResult;
  'conversation.get': ConversationResult;
  'conversation.send': StreamResult;
  'conversation.reconnect': StreamResult | null;
  'conversation.delete': ConversationDeleteResult;
  'turn.list': TurnListResult;
  'workflow.start': WorkflowStartResult;
  'workflow.resume': WorkflowResumeResult;
  'workflow.cancel': WorkflowCancelResult;
  'approval.list': ApprovalListResult;
  'approval.resolve': ApprovalResolveResult;
  'pairing.approve': PairingResult;
  'pairing.deny': PairingResult;
  'pairing.revoke': PairingResult;
  'presence.beacon': PresenceBeaconResult;
  'events.replay': EventsReplayResult;
  'capability.ready': undefined;
  'attempt.evidence': undefined;
}
export type RequestResult<T extends RequestType> = RequestResults[T];

/** Whether `type` is a request we know. Only own names count: `constructor` is none. */
export function isRequestType(type: string): type is RequestType {
  return Object.hasOwn(REQUESTS, type);
}

/** The typed payload of a request. @throws {ContractError} naming the fields at fault under `payload` */
export function validateRequest<T extends RequestType>(type: T, payload: unknown): RequestPayload<T> {
  if (!isRequestType(type)) throw ContractError.at('type', 'requestType', 'is not a request type');
  return validatePayload(REQUESTS[type].payload as PayloadClass<RequestPayload<T>>, payload);
}
