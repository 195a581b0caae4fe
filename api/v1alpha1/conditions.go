package v1alpha1

// The condition types of the tenants' kinds. Accepted, ResolvedRefs, Programmed and Ready are always present;
// Reconciling and Stalled only while they are true, Served only while it is false.
const (
	// ConditionAccepted is True when the object obeys all rules and takes part in the configuration.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs is True when all that the object refers to exists and is usable.
	ConditionResolvedRefs = "ResolvedRefs"
	// ConditionProgrammed is True when the data plane runs on the configuration that the object is part of.
	ConditionProgrammed = "Programmed"
	// ConditionReady is True when clients can use the object now.
	ConditionReady = "Ready"
	// ConditionReconciling is present while the operator is still at work on the object.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is present while only a change by the user can help.
	ConditionStalled = "Stalled"
	// ConditionServed is False while the object sets fields that nothing acts on yet, and absent otherwise.
	ConditionServed = "Served"
	// ConditionBound is the condition of a DomainClaim.
	ConditionBound = "Bound"
)

// Reason is the typed reason of a condition.
type Reason string

// Reasons of Accepted.
const (
	// ReasonAccepted is the reason of Accepted=True.
	ReasonAccepted Reason = "Accepted"
	// ReasonHostnameConflict says that the hostname belongs to another object.
	ReasonHostnameConflict Reason = "HostnameConflict"
	// ReasonHostnameNotPermitted says that the class lets nobody, or not this namespace, take this hostname.
	ReasonHostnameNotPermitted Reason = "HostnameNotPermitted"
	// ReasonClassNotFound says that the MediaClass named by className does not exist.
	ReasonClassNotFound Reason = "ClassNotFound"
	// ReasonClassInvalid says that the MediaClass named by className is not accepted.
	ReasonClassInvalid Reason = "ClassInvalid"
	// ReasonNamespaceNotServed says that the class does not serve the namespace of the object.
	ReasonNamespaceNotServed Reason = "NamespaceNotServed"
	// ReasonRTSNotGranted says that the class does not grant RTS to the namespace.
	ReasonRTSNotGranted Reason = "RTSNotGranted"
	// ReasonPushDomainAlreadyAssociated says that the push domain already has a main play domain.
	ReasonPushDomainAlreadyAssociated Reason = "PushDomainAlreadyAssociated"
	// ReasonSubAlreadyAssociated says that the sub play domain already has a main play domain.
	ReasonSubAlreadyAssociated Reason = "SubAlreadyAssociated"
	// ReasonMainIsSub says that the domain named as main is a sub itself.
	ReasonMainIsSub Reason = "MainIsSub"
	// ReasonSubIsMain says that the domain named as sub has push domains or subs of its own.
	ReasonSubIsMain Reason = "SubIsMain"
	// ReasonRegionMismatch says that the two ends of an association are in different regions.
	ReasonRegionMismatch Reason = "RegionMismatch"
	// ReasonPlayDomainIsSub says that a template is attached to a sub, where it would be void.
	ReasonPlayDomainIsSub Reason = "PlayDomainIsSub"
	// ReasonTemplateIDConflict says that another template has the same id for the same main and app.
	ReasonTemplateIDConflict Reason = "TemplateIDConflict"
	// ReasonInvalid says that the object breaks a rule that its schema cannot express.
	ReasonInvalid Reason = "Invalid"
	// ReasonTerminating says that the object is being deleted.
	ReasonTerminating Reason = "Terminating"
)

// Reasons of ResolvedRefs.
const (
	// ReasonResolvedRefs is the reason of ResolvedRefs=True.
	ReasonResolvedRefs Reason = "ResolvedRefs"
	// ReasonSecretNotFound says that a Secret does not exist.
	ReasonSecretNotFound Reason = "SecretNotFound"
	// ReasonSecretInvalid says that a Secret lacks a key or that its content is not usable.
	ReasonSecretInvalid Reason = "SecretInvalid"
	// ReasonPushDomainNotFound says that a PushDomain does not exist.
	ReasonPushDomainNotFound Reason = "PushDomainNotFound"
	// ReasonPushDomainNotAccepted says that a PushDomain exists but is not accepted.
	ReasonPushDomainNotAccepted Reason = "PushDomainNotAccepted"
	// ReasonPlayDomainNotFound says that a PlayDomain does not exist.
	ReasonPlayDomainNotFound Reason = "PlayDomainNotFound"
	// ReasonPlayDomainNotAccepted says that a PlayDomain exists but is not accepted.
	ReasonPlayDomainNotAccepted Reason = "PlayDomainNotAccepted"
	// ReasonPlayDomainNotAssociated says that a PlayDomain has no push domain and no sub yet.
	ReasonPlayDomainNotAssociated Reason = "PlayDomainNotAssociated"
)

// ReasonNotServedYet is the reason of Served=False: nothing acts on some fields of the object yet.
const ReasonNotServedYet Reason = "NotServedYet"

// Reasons of Programmed, Ready and Bound.
const (
	// ReasonPending says that nobody has looked at the object yet, or that its claim is on its way.
	ReasonPending Reason = "Pending"
	// ReasonNotAccepted says that the object takes no part in the configuration: see Accepted.
	ReasonNotAccepted Reason = "NotAccepted"
	// ReasonProgrammed is the reason of Programmed=True.
	ReasonProgrammed Reason = "Programmed"
	// ReasonReady is the reason of Ready=True.
	ReasonReady Reason = "Ready"
	// ReasonWaitingForPods says that no pod of the class that serves the object is ready yet.
	ReasonWaitingForPods Reason = "WaitingForPods"
	// ReasonNoReplicas says that the class gives the object no pods: its pool has zero replicas.
	ReasonNoReplicas Reason = "NoReplicas"
	// ReasonPlanOnItsWay says that some pods do not run on the newest configuration of the object yet.
	ReasonPlanOnItsWay Reason = "PlanOnItsWay"
	// ReasonPlanTooLarge says that the object was left out of the configuration of its class, which is too large to be
	// delivered, or that the configuration as a whole is.
	ReasonPlanTooLarge Reason = "PlanTooLarge"
	// ReasonApplyFailed says that the API server refused an object of a pool.
	ReasonApplyFailed Reason = "ApplyFailed"
	// ReasonNoImage says that neither the class nor the operator names an image for the pods.
	ReasonNoImage Reason = "NoImage"
	// ReasonIdle says that no accepted object needs pods of the class.
	ReasonIdle Reason = "Idle"
	// ReasonNotAssociated says that a domain is not part of an association yet, so there is nothing to publish to or to
	// play.
	ReasonNotAssociated Reason = "NotAssociated"
	// ReasonOffline says that spec.state is Offline.
	ReasonOffline Reason = "Offline"
	// ReasonBound is the reason of Bound=True.
	ReasonBound Reason = "Bound"
	// ReasonUnbound says that a DomainClaim has no owner yet.
	ReasonUnbound Reason = "Unbound"
	// ReasonOwnerGone says that the owner of a DomainClaim does not exist any more.
	ReasonOwnerGone Reason = "OwnerGone"
)
