export * from './turn-rows';
export * from './turn-writes';
export { NotAsHopedError, settleTurns } from './settle-turns';
export { TurnStore } from './turn-store';
export {
  ConversationStore,
  type ConversationFilter,
  type ConversationLeaseRow,
  type ConversationView,
  type QueueSettings,
  type TranscriptRow,
} from './conversation-store';
export { ClaimRing } from './claim-ring';
export {
  ApprovalStore,
  type ApprovalFilter,
  type ApprovalRow,
  type ApprovalRowStatus,
  type OverrideRow,
} from './approval-store';
export { TurnRetention } from './turn-retention';
export { readAllQueues, readTenantQueues, type QueueDepth, type QueuesView } from './queue-depths';
