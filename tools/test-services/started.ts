/** How to undo what this run's setup did, in its order. Setup and teardown run in the same process and share this module. */
export const started: (() => Promise<void>)[] = [];
