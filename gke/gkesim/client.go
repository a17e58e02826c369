package gkesim

import (
	"context"
	"net"

	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
)

// Connect serves the world in memory and gives the options with which Google's
// own client reaches it. stop ends the serving.
func (w *World) Connect() (opts []option.ClientOption, stop func(), err error) {
	conn, stop, err := w.loopback()
	if err != nil {
		return nil, nil, err
	}
	return []option.ClientOption{option.WithGRPCConn(conn)}, stop, nil
}

// loopback serves the world in memory behind one connection.
func (w *World) loopback() (conn *grpc.ClientConn, stop func(), err error) {
	listener := bufconn.Listen(1 << 20)
	s := w.NewServer()
	go func() { _ = s.Serve(listener) }() // ends with Stop; its error says only that
	conn, err = grpc.NewClient("passthrough:///gkesim",
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.Stop()
		return nil, nil, err
	}
	return conn, func() { _ = conn.Close(); s.Stop() }, nil
}
