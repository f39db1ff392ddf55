export { cliStep, RecordingObserver, ScriptedExecutor, TestEngine } from './test-engine';
export { RealTurns } from './real-turns';
export { TURN_ACTS, WAIT_ACTS } from './turn-acts';
export { TurnModel } from './turn-model';
