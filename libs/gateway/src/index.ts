export { GatewayModule, type GatewayOptions } from './gateway.module';
export { SCHEDULES_PORT, type SchedulesPort } from './ports';
export { TOKEN_COOKIE } from './ws/credentials';
export { SOCKET_PATH } from './ws/upgrade-gate';
