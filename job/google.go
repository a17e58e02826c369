package main

import (
	"context"
	"log/slog"
	"net"

	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"gke-credential-rotator/job/config"
	"gke-credential-rotator/state"
)

// clientOptions are those of every client of Google's APIs that is made here: on a loopback address a
// simulator is spoken to, in plain text and without credentials; anywhere else credentials go to Google's
// hosts and nowhere else, whatever settings and libraries made of the endpoint.
func clientOptions(at config.Address) []option.ClientOption {
	if at.Loopback() {
		return plainText(string(at))
	}
	opts := []option.ClientOption{
		option.WithUniverseDomain(config.Universe),       // and not what a variable says
		option.WithLogger(slog.New(slog.DiscardHandler)), // or GOOGLE_SDK_GO_LOGGING_LEVEL=debug prints the token
		option.WithGRPCDialOption(grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string,
			req, reply any, to *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption,
		) error {
			if err := onlyGoogle(to); err != nil {
				return err
			}
			return call(ctx, method, req, reply, to, opts...)
		})),
		option.WithGRPCDialOption(grpc.WithChainStreamInterceptor(func(ctx context.Context, d *grpc.StreamDesc,
			to *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
		) (grpc.ClientStream, error) {
			if err := onlyGoogle(to); err != nil {
				return nil, err
			}
			return open(ctx, d, to, method, opts...)
		})),
	}
	if at != "" {
		opts = append(opts, option.WithEndpoint(string(at)))
	}
	return opts
}

// onlyGoogle refuses a call that would bring credentials to somebody else. It looks at what was dialled in
// the end, right before the token is asked for.
func onlyGoogle(to *grpc.ClientConn) error {
	host, _, err := net.SplitHostPort(to.Target())
	if err != nil || !config.GoogleHost(host) {
		return status.Errorf(codes.FailedPrecondition, "%q is no host of %s, and nobody else is given credentials",
			to.Target(), config.Universe)
	}
	return nil
}

// emulatorOptions are for where an emulator takes the API's place, as in PUBSUB_EMULATOR_HOST; "": none does.
func emulatorOptions(host string) []option.ClientOption {
	if host == "" {
		return clientOptions("")
	}
	return plainText(host)
}

func firestoreOptions(emulator string) state.FirestoreOptions {
	return state.FirestoreOptions{Emulator: emulator, Client: emulatorOptions(emulator)}
}

// plainText reaches a simulator or an emulator, which gets no credentials.
func plainText(at string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(at), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}
