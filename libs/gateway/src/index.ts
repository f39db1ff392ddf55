export { GatewayModule, type GatewayOptions } from './gateway.module';
export { ARTIFACTS_PORT, SCHEDULES_PORT, type ArtifactsPort, type SchedulesPort } from './ports';
export { TOKEN_COOKIE } from './ws/credentials';
export { SOCKET_PATH } from './ws/upgrade-gate';
