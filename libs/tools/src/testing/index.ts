export { buildToolRunner } from './build-tool-runner';
export { stepSecrets } from './step-secrets';
export { openTestArtifacts } from './test-artifacts';
export { cli, codeOf, fs, resultOf, TestWorkspace } from './test-workspace';
