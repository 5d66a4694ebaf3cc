package cloud

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/awsclient"
)

// statement is one statement of a policy. It allows, unless it denies.
type statement struct {
	deny       bool
	principals pulumi.Map // only in a resource's own policy
	actions    []string
	resources  []pulumi.StringInput
	condition  pulumi.Map
}

// policy is the document with these statements. Its text is always the same for
// the same statements.
func policy(statements ...statement) pulumi.StringOutput {
	list := make(pulumi.Array, len(statements))
	for i, s := range statements {
		m := pulumi.Map{"Effect": pulumi.String("Allow"), "Action": pulumi.ToStringArray(s.actions)}
		if s.deny {
			m["Effect"] = pulumi.String("Deny")
		}
		if s.principals != nil {
			m["Principal"] = s.principals
		}
		if s.resources != nil {
			m["Resource"] = pulumi.StringArray(s.resources)
		}
		if s.condition != nil {
			m["Condition"] = s.condition
		}
		list[i] = m
	}
	return pulumi.JSONMarshal(pulumi.Map{"Version": pulumi.String("2012-10-17"), "Statement": list})
}

// service is the principal of an AWS service.
func service(name string) pulumi.Map {
	return pulumi.Map{"Service": pulumi.String(name + ".amazonaws.com")}
}

// from limits a statement to requests that a service makes for that resource:
// without it, anybody's rule could use the service to get in.
func from(arn pulumi.StringInput) pulumi.Map {
	return pulumi.Map{"ArnEquals": pulumi.Map{"aws:SourceArn": arn}}
}

// place is where the stack is, as the ARNs of its resources say.
type place struct{ partition, region, account pulumi.StringOutput }

func placeOf(arn pulumi.StringOutput) place {
	part := func(i int) pulumi.StringOutput {
		return arn.ApplyT(func(arn string) string {
			parts := strings.SplitN(arn, ":", 6)
			if i >= len(parts) {
				return ""
			}
			return parts[i]
		}).(pulumi.StringOutput)
	}
	return place{partition: part(1), region: part(3), account: part(4)}
}

// arn is the ARN of a resource of that service in the stack's region and
// account.
func (p place) arn(service, resource string) pulumi.StringOutput {
	return pulumi.Sprintf("arn:%s:%s:%s:%s:%s", p.partition, service, p.region, p.account, resource)
}

// domain is the domain of the services' endpoints.
func (p place) domain() pulumi.StringOutput {
	return p.region.ApplyT(awsclient.Domain).(pulumi.StringOutput)
}
