// Everything a browser has, and what is kept in files: identities, and what a node was asked.
export * from './browser';
export { FileDispatchJournal, type FileJournalOptions } from './file-dispatch-journal';
export { createDeviceIdentity, openDeviceIdentity } from './kept-device-identity';
