export * from './action';
export * from './action-types';
export * from './effect-class';
export * from './service-args';
export * from './validate-action';
export * from './workspace-args';
