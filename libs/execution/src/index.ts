export { TurnIntake, type AcceptOutcome, type AcceptRequest } from './turn-intake';
export { OverloadedError } from './group-commit';
export { QueueFullError } from './input-queue';
export { TurnControl, type Resolution } from './turn-control';
export { TurnRedrive, type OpenStepDecision } from './turn-redrive';
export { TurnReader, type TurnAnswer } from './turn-reader';
export { arriveIn, signalTo, Waits, type Arrival, type ArriveOutcome } from './waits';
export { ApprovalGate, type GatePolicy } from './approval-gate';
export { Approvals, type ApprovalVerdict, type Resolved } from './approvals';
export { Conversations } from './conversations';
export { TurnProcessor, type TurnProcessorOptions } from './turn-processor';
export type { ModelPrice } from './turn-budget';
export { TurnWriter } from './turn-writer';
export { StepExecution } from './step-execution';
export { DEFAULT_RETRY } from './retry-policy';
export type { ProcessorObserver } from './processor-observer';
export type {
  Alongside,
  StepContext,
  StepExecutor,
  StepOutcome,
  StepRequest,
  AbortReason,
  TranscriptMessage,
} from './step-executor';
export type { ModelStepResult, ModelToolCall } from './turn-driver';
