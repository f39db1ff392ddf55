export { memoryLogger, type LoggedLine } from './memory-logger';
