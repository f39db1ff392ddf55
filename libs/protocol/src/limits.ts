const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * Every limit of the wire and of the queues behind it, in one place. Sizes are bytes of UTF-8 unless the name says
 * `Length` (UTF-16 code units), durations are milliseconds. Deployments may set those of a connection
 * otherwise (`TYRUM_*`, docs/edge.md).
 */
export const LIMITS = Object.freeze({
  // A connection
  frameBytes: 1 * MIB,
  jsonDepth: 64,
  handshakeMs: 10_000,
  messagesBeforeHandshake: 4,
  requestsInFlightPerConnection: 64,
  sendBufferBytes: 4 * MIB,
  heldPiecesBytes: 1 * MIB,
  streamCrowd: 100,
  streamCrowdMs: 50,
  pingIntervalMs: 15_000,
  missedPingsBeforeClose: 2,
  connectionsPerDevice: 8,
  challengeBytes: 32,
  restartDelayMaxMs: 60_000,

  // Requests and idempotency
  requestIdLength: 255,
  requestTypeLength: 64,
  idempotencyKeyLength: 255,
  idempotencyRetentionMs: 24 * 60 * 60 * 1000,
  errorDetails: 20,

  // Names, keys and text
  idLength: 255,
  labelLength: 255,
  conversationKeyLength: 512,
  conversationKeyPartLength: 255,
  reasonLength: 2_000,
  promptLength: 100_000,
  messageTextLength: 200_000,
  urlLength: 8_192,
  // It travels in a cookie, of which browsers keep 4 KiB.
  returnToLength: 1_024,
  pathLength: 4_096,
  cursorLength: 512,
  // A list's cursor holds a conversation key: 512 characters of three bytes each, in base64url.
  listCursorLength: 4_096,
  tokenLength: 512,
  pubkeyLength: 512,
  proofLength: 512,

  // Workflows and steps
  stepsPerWorkflow: 500,
  maxStepsPerTurn: 500,
  stepArgsBytes: 512 * KIB,
  postconditionBytes: 64 * KIB,
  commandLength: 4_096,
  commandArgs: 1_024,
  commandArgLength: 131_072,
  httpHeaders: 64,
  httpHeaderValueLength: 8_192,
  stepTimeoutMaxMs: 24 * 60 * 60 * 1000,
  stepOutputBytes: 256 * KIB,
  secretsPerStep: 64,

  // Secrets: a shorter value could not be told apart from other text where it has to be taken out
  secretLengthMin: 8,
  secretLength: 32 * KIB,
  secretsPerTenant: 1_000,
  hostsPerSecret: 16,

  // Conversations
  messagesPerSend: 200,
  partsPerMessage: 200,
  messagesShown: 200,
  /** Characters of a conversation's last message that lists and events show. */
  lastMessageShown: 2_000,
  titleLength: 200,

  // Lists
  /** Of lists that are short in most tenants: tokens, pairings, nodes, a turn's artifacts. */
  pageMax: 1_000,
  conversationListMax: 200,
  conversationListDefault: 50,
  turnListMax: 200,
  turnListDefault: 50,
  leaseKindLength: 64,
  leaseListMax: 500,
  leaseListDefault: 100,
  approvalListMax: 500,
  approvalListDefault: 100,
  eventsReplayMax: 1_000,
  eventsReplayDefault: 200,
  filterValues: 32,

  // Nodes, approvals, presence
  capabilities: 256,
  overridesPerDecision: 32,
  presenceMetadataBytes: 16 * KIB,
  evidenceBytes: 768 * KIB,

  // Desktops
  desktopsPerTenant: 100,
  desktopSideMin: 320,
  desktopSideMax: 4_096,
  desktopTextLength: 10_000,

  // Signals and shares
  signalNameLength: 200,
  signalBytes: 256 * KIB,
  claimWeightMax: 100,
  claimRunningMax: 1_000_000,
  claimSharesPerTenant: 1_000,

  // Webhooks
  webhookBodyBytes: 256 * KIB,

  // Artifacts
  artifactLabels: 32,
  artifactStallMs: 60_000,
  artifactsPerMessage: 32,
  mimeTypeLength: 255,
  digestHeaderLength: 1_024,
  rangeHeaderLength: 1_024,

  // Audit
  auditNameLength: 320,
  auditListMax: 500,
  auditListDefault: 100,

  // The Model Context Protocol
  mcpWaitMs: 60_000,
  mcpWaitDefaultMs: 30_000,
  mcpWaitsPerToken: 16,
  mcpResourceBytes: 1 * MIB,

  // Tenants
  quotaMax: 1_000_000_000,
  quotaBytesMax: 1_000_000_000_000_000,

  // Schedules
  intervalMinMs: 1_000,
  intervalMaxMs: 366 * 24 * 60 * 60 * 1000,
  cronExpressionLength: 255,

  // Engine batches and queues
  acceptBatch: 100,
  acceptQueue: 10_000,
  acceptLanes: 2,
  settleBatch: 200,
  settleLanes: 2,
  claimConversations: 50,
  claimTurnsPerConversation: 40,
  claimSliceMs: 1_000,
  turnsQueuedPerConversation: 10_000,
  inputsPerDelivery: 100,
});
