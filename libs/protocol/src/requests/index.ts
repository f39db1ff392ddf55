export * from './connect-requests';
export * from './conversation-requests';
export * from './node-requests';
export * from './operator-requests';
export * from './registry';
export * from './workflow-requests';
