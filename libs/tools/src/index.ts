export { WorkspaceExecutor } from './workspace-executor';
export { ToolRunnerClient, type ToolRunnerClientOptions } from './tool-runner-client';
export { HttpExecutor } from './http-executor';
export { StepExecutors } from './step-executors';
export { StepSecrets } from './step-secrets';
