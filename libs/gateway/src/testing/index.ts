export { startTestEdge, type TestEdge, type TestEdgeOptions } from './test-edge';
export { TestClient, TestDevice, openSocket, type Frame, type TestClientOptions } from './test-client';
