import { describeOnBothDialects, describeStateStore } from './testing';

describeOnBothDialects('StateStore', describeStateStore);
