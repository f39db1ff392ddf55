export { createWebKeyPair, webDeviceIdentity, type DeviceIdentity, type WebKeyPair } from './device-identity';
export { BacklogError, ClientClosedError, ConnectionLostError, RequestTimeoutError } from './errors';
export { ProblemError, UnreachableError } from './problem-error';
export { TyrumClient, type TyrumClientOptions } from './tyrum-client';
export { TyrumHttp, type Readiness, type TokenView } from './tyrum-http';
export type { WebSocketConstructor } from './web-socket';
