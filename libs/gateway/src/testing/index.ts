export { startTestEdge, type TestEdge, type TestEdgeOptions, type TokenWish } from './test-edge';
export { TestClient, TestDevice, openSocket, signHttpProofAs, type TestClientOptions } from './test-client';
export type { Frame, SeenConversation, SeenEntry, SeenPairing, SeenPayload, SeenResult, SeenTurn } from './frames';
export { McpTestClient } from './mcp-client';
export { EventStreamClient, type ServerSentEvent } from './event-stream-client';
