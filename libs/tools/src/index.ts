export { WorkspaceExecutor } from './workspace-executor';
export { ToolRunnerClient, type ToolRunnerClientOptions } from './tool-runner-client';
export { HttpExecutor } from './http-executor';
export { ModelExecutor, type ModelOptions } from './model-executor';
export { StepExecutors } from './step-executors';
