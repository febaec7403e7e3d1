// IncidentTests
